"""Tokenizers of the classes that checkpoints use; each spells any text, a piece a letter."""

from collections.abc import Iterable, Sequence
from typing import Any

ASCII = tuple(map(chr, range(33, 127)))
QWEN = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|image_pad|>", "<|video_pad|>", "<think>", "</think>"),
)
LLAMA = (
    *("<|begin_of_text|>", "<|eot_id|>", "<|finetune_right_pad_id|>", "<|image|>", "<image>"),
    *("<|start_header_id|>", "<|end_header_id|>"),
)
GEMMA_TURNS = ("<start_of_turn>", "<end_of_turn>")
GEMMA_MEDIA = {
    "image_token": "<image_soft_token>",
    "boi_token": "<start_of_image>",
    "eoi_token": "<end_of_image>",
    "audio_token": "<audio_soft_token>",
    "boa_token": "<start_of_audio>",
    "eoa_token": "<end_of_audio>",
    "video_token": "<video_soft_token>",
}


def turns(begin: str, end: str, image: str, answer: str, start: str = "") -> str:
    """Return a chat template: `begin` may use the message m, `answer` opens the model's turn."""
    part = "{% if p['type'] == 'image' %}" + image + "{% else %}{{ p['text'] }}{% endif %}"
    whole = "{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    parts = f"{{% for p in m['content'] %}}{part}{{% endfor %}}{{% endif %}}"
    opened = f"{{% if add_generation_prompt %}}{answer}{{% endif %}}"
    return f"{start}{{% for m in messages %}}{begin}{whole}{parts}{end}{{% endfor %}}{opened}"


QWEN_CHAT = turns(
    "<|im_start|>{{ m['role'] }}\n",
    "<|im_end|>\n",
    "<|vision_start|><|image_pad|><|vision_end|>",
    "<|im_start|>assistant\n",
)


def gemma_chat(image: str) -> str:
    """Return a template of Gemma's form that puts `image` where a picture is."""
    begin = "<start_of_turn>{{ m['role'] }}\n"
    return turns(begin, "<end_of_turn>\n", image, "<start_of_turn>model\n", start="<bos>")


def llama_chat(image: str) -> str:
    """Return a template of Llama's form."""
    head = "<|start_header_id|>{}<|end_header_id|>\n\n"
    begin, answer = head.format("{{ m['role'] }}"), head.format("assistant")
    return turns(begin, "<|eot_id|>", image, answer, start="<|begin_of_text|>")


def numbered(pieces: Iterable[str]) -> dict[str, int]:
    """Return each piece once with its number."""
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}


def letters() -> list[str]:
    """Return what byte-level vocabularies call the 256 bytes."""
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())


def bytes_of(special: Sequence[str], before: str = "", after: str = "", **roles: Any) -> Any:
    """Return a byte-level tokenizer that puts `before` and `after` around each text."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    numbers = numbered([*special, *letters()])
    backend = Tokenizer(models.BPE(numbers, []))
    backend.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in special])
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    if around := [piece for piece in (before, after) if piece]:
        template = [before, "$A", after]
        backend.post_processor = processors.TemplateProcessing(
            [piece for piece in template if piece], special_tokens=[(p, numbers[p]) for p in around]
        )
    return PreTrainedTokenizerFast(tokenizer_object=backend, **roles)


def clip(limit: int = 77) -> Any:
    """Return CLIP's."""
    from transformers import CLIPTokenizer

    begin, end = "<|startoftext|>", "<|endoftext|>"
    spelled = letters()
    return CLIPTokenizer(
        vocab=numbered([*spelled, *(f"{letter}</w>" for letter in spelled), begin, end]),
        merges=[],
        model_max_length=limit,
        bos_token=begin,
        eos_token=end,
        pad_token=end,
        unk_token=end,
    )


def t5(limit: int = 512) -> Any:
    """Return T5's: a unigram model of single characters."""
    from transformers import T5Tokenizer

    scored = [(piece, 0.0) for piece in ("<pad>", "</s>", "<unk>")]
    scored += [(piece, -2.0) for piece in ("▁", *ASCII)]
    return T5Tokenizer(vocab=scored, extra_ids=0, model_max_length=limit)


def xlm_roberta(limit: int = 8192) -> Any:
    """Return XLM-RoBERTa's."""
    from transformers import XLMRobertaTokenizer

    scored = [(piece, 0.0) for piece in ("<s>", "<pad>", "</s>", "<unk>")]
    scored += [(piece, -2.0) for piece in ("▁", *ASCII, "<mask>")]
    return XLMRobertaTokenizer(vocab=scored, model_max_length=limit)


def roberta(limit: int = 512) -> Any:
    """Return RoBERTa's."""
    from transformers import RobertaTokenizer

    pieces = ["<s>", "<pad>", "</s>", "<unk>", *letters(), "<mask>"]
    return RobertaTokenizer(vocab=numbered(pieces), merges=[], model_max_length=limit)


def mpnet(limit: int = 512) -> Any:
    """Return MPNet's: word pieces."""
    from transformers import MPNetTokenizer

    pieces = ["<s>", "<pad>", "</s>", "[UNK]", *ASCII, *(f"##{c}" for c in ASCII), "<mask>"]
    return MPNetTokenizer(vocab=numbered(pieces), model_max_length=limit)


def bert(limit: int = 512) -> Any:
    """Return BERT's: word pieces of lower-case letters."""
    from transformers import BertTokenizer

    lower = [letter for letter in ASCII if not letter.isupper()]
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    pieces = [*special, *lower, *(f"##{letter}" for letter in lower)]
    return BertTokenizer(vocab=numbered(pieces), do_lower_case=True, model_max_length=limit)


def qwen(limit: int = 4096) -> Any:
    """Return Qwen's, with a chat template of its form."""
    from transformers import Qwen2Tokenizer

    tokenizer = Qwen2Tokenizer(
        vocab=numbered([*QWEN, *letters()]),
        merges=[],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=limit,
        additional_special_tokens=list(QWEN),
    )
    tokenizer.chat_template = QWEN_CHAT
    return tokenizer


def gemma(limit: int = 8192, **roles: Any) -> Any:
    """Return Gemma's, which pads on the left."""
    from transformers import GemmaTokenizer

    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", *GEMMA_TURNS, "<image>", *GEMMA_MEDIA.values()]
    pieces += ["<|image>", "<image|>", "▁", *(f"<0x{code:02X}>" for code in range(256))]
    tokenizer = GemmaTokenizer(
        vocab=numbered([*pieces, *ASCII, "\n", "\n\n"]),
        merges=[],
        model_max_length=limit,
        additional_special_tokens=[*GEMMA_TURNS, "<image>"],
        **roles,
    )
    tokenizer.padding_side = "left"
    tokenizer.chat_template = gemma_chat("<start_of_image>")
    return tokenizer


def ids(tokenizer: Any, **names: str) -> dict[str, int]:
    """Return the number of each token under the name of a configuration's entry."""
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}
