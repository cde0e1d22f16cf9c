"""Tokenizers in the classes of the real ones that can spell anything: a token a letter."""

from typing import Any

QWEN_SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|image_pad|>", "<|video_pad|>"),
)
CHAT_TEMPLATE = (
    "{% for turn in messages %}<|im_start|>{{ turn['role'] }}\n"
    "{% if turn['content'] is string %}{{ turn['content'] }}{% else %}"
    "{% for part in turn['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""In the form of Qwen's: turns between markers, a picture as one token."""


def _alphabet() -> list[str]:
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())


def clip() -> Any:
    """Return CLIP's tokenizer without merges: a token a letter."""
    from transformers import CLIPTokenizer

    begin, end = "<|startoftext|>", "<|endoftext|>"
    pieces = [*_alphabet(), *(f"{letter}</w>" for letter in _alphabet()), begin, end]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    special = {"bos_token": begin, "eos_token": end, "pad_token": end, "unk_token": end}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77, **special)


def t5() -> Any:
    """Return T5's tokenizer: a unigram model of single characters."""
    from transformers import T5Tokenizer

    pieces = ["<pad>", "</s>", "<unk>", "▁", *(chr(code) for code in range(33, 127))]
    vocabulary = [(piece, 0.0 if place < 3 else -2.0) for place, piece in enumerate(pieces)]
    return T5Tokenizer(vocab=vocabulary, extra_ids=0, model_max_length=512)


def bert() -> Any:
    """Return a word-piece tokenizer that spells lower-case ASCII; [DEC] begins BLIP's captions."""
    from transformers import BertTokenizer

    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    pieces = [*special, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    tokenizer = BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=512)
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    return tokenizer


def qwen() -> Any:
    """Return Qwen2's tokenizer with its chat tokens and a chat template of its form."""
    from transformers import Qwen2Tokenizer

    tokenizer = Qwen2Tokenizer(
        vocab={piece: place for place, piece in enumerate([*QWEN_SPECIAL, *_alphabet()])},
        merges=[],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=4096,
        additional_special_tokens=list(QWEN_SPECIAL),
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
