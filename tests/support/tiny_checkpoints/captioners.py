"""Captioners that are not asked, or asked by a prefix or a task token."""

from typing import Any

from tiny_checkpoints import vocabularies
from tiny_checkpoints.classes import BODY, SIDE, tiny

PATCH = 8
EYES = {**BODY, "image_size": SIDE, "patch_size": PATCH}
SQUARE = {"height": SIDE, "width": SIDE}
TOKENS = 6
QUERIES = {"num_query_tokens": 4}


@tiny("transformers", max_new_tokens=TOKENS, prompt="a picture of")
def blip() -> tuple[Any, ...]:
    """Build BLIP, which goes on behind a prompt."""
    import transformers as hf

    tokenizer = vocabularies.bert()
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    named = {"bos": "[DEC]", "eos": "[SEP]", "sep": "[SEP]", "pad": "[PAD]"}
    text = {
        **BODY,
        **vocabularies.ids(tokenizer, **{f"{k}_token_id": token for k, token in named.items()}),
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 128,
        "encoder_hidden_size": 16,
    }
    config = hf.BlipConfig(text_config=text, vision_config=EYES, projection_dim=16)
    images = hf.BlipImageProcessorPil(size=SQUARE)
    return hf.BlipForConditionalGeneration(config), hf.BlipProcessor(images, tokenizer)


@tiny("transformers", max_new_tokens=TOKENS, prompt="a dog")
def git_prompted() -> tuple[Any, ...]:
    """Build GIT, asked by the beginning of an answer."""
    import transformers as hf

    tokenizer = vocabularies.bert()
    named = {"bos_token_id": "[CLS]", "eos_token_id": "[SEP]", "pad_token_id": "[PAD]"}
    config = hf.GitConfig(
        **BODY,
        **vocabularies.ids(tokenizer, **named),
        vision_config=EYES,
        vocab_size=len(tokenizer),
        max_position_embeddings=128,
    )
    images = hf.CLIPImageProcessorPil(size=SQUARE, crop_size=SQUARE)
    return hf.GitForCausalLM(config), hf.GitProcessor(images, tokenizer)


@tiny("transformers", max_new_tokens=TOKENS)
def blip2() -> tuple[Any, ...]:
    """Build BLIP-2 with OPT, whose start and end are one token."""
    import transformers as hf

    end = "</s>"
    tokenizer = vocabularies.bytes_of(
        ("<pad>", end, "<unk>", "<image>"),
        before=end,
        bos_token=end,
        eos_token=end,
        pad_token="<pad>",
    )
    tokenizer.image_token = "<image>"
    opt = {
        "model_type": "opt",
        "hidden_size": 16,
        "word_embed_proj_dim": 16,
        "ffn_dim": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 256,
        "vocab_size": len(tokenizer),
        "bos_token_id": 1,
        "eos_token_id": 1,
        "pad_token_id": 0,
    }
    config = hf.Blip2Config(
        vision_config=EYES,
        qformer_config={**BODY, "encoder_hidden_size": 16, "vocab_size": len(tokenizer)},
        text_config=opt,
        image_token_index=3,
        **QUERIES,
    )
    images = hf.BlipImageProcessorPil(size=SQUARE)
    model = hf.Blip2ForConditionalGeneration(config)
    return model, hf.Blip2Processor(images, tokenizer, **QUERIES)


@tiny("transformers", max_new_tokens=TOKENS, prompt="What is it?")
def instructblip() -> tuple[Any, ...]:
    """Build InstructBLIP with T5: the question goes through a second tokenizer too."""
    import transformers as hf

    tokenizer, questions = vocabularies.t5(), vocabularies.bert()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    tokenizer.image_token = "<image>"
    text = {
        "model_type": "t5",
        "d_model": 16,
        "d_kv": 8,
        "d_ff": 32,
        "num_layers": 2,
        "num_heads": 2,
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "vocab_size": len(tokenizer),
    }
    config = hf.InstructBlipConfig(
        vision_config=EYES,
        qformer_config={**BODY, "encoder_hidden_size": 16, "vocab_size": len(questions)},
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        **QUERIES,
    )
    images = hf.BlipImageProcessorPil(size=SQUARE)
    model = hf.InstructBlipForConditionalGeneration(config)
    return model, hf.InstructBlipProcessor(images, tokenizer, questions, **QUERIES)


@tiny("transformers", max_new_tokens=TOKENS, prompt="<CAPTION>", num_beams=3)
def florence2() -> tuple[Any, ...]:
    """Build Florence-2: a task token as prompt, beams as upstream had them."""
    import transformers as hf

    tokenizer = vocabularies.bytes_of(
        ("<s>", "<pad>", "</s>", "<unk>", "<image>"),
        before="<s>",
        after="</s>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
    )
    halves = {
        f"{half}_{key}": value
        for half in ("encoder", "decoder")
        for key, value in (("layers", 2), ("attention_heads", 2), ("ffn_dim", 32))
    }
    ends = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    bart = {"model_type": "bart", "d_model": 16, **halves, **ends, "forced_eos_token_id": 2}
    eyes = {
        "depths": (1, 1),
        "patch_size": (7, 3),
        "patch_stride": (4, 2),
        "window_size": 4,
        "patch_padding": (3, 1),
        "patch_prenorm": (False, True),
        "embed_dim": (8, 16),
        "num_heads": (2, 2),
        "num_groups": (2, 2),
        "projection_dim": 16,
        "max_temporal_embeddings": 8,
        "max_position_embeddings": 16,
    }
    text = {**bart, "vocab_size": len(tokenizer), "max_position_embeddings": 256}
    config = hf.Florence2Config(text_config=text, vision_config=eyes, image_token_id=4)
    images = hf.CLIPImageProcessorPil(size=SQUARE, crop_size=SQUARE, do_center_crop=False)
    # A cell of 8 pixels each, and one for the whole picture.
    images.image_seq_length = 17
    model = hf.Florence2ForConditionalGeneration(config)
    return model, hf.Florence2Processor(images, tokenizer)


@tiny("transformers", max_new_tokens=TOKENS, prompt="<grounding>An image of")
def kosmos2() -> tuple[Any, ...]:
    """Build Kosmos-2, whose answers have tags in them."""
    import transformers as hf

    tokenizer = vocabularies.bytes_of(
        ("<s>", "<pad>", "</s>", "<unk>"),
        before="<s>",
        after="</s>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    )
    images = hf.CLIPImageProcessorPil(size=SQUARE, crop_size=SQUARE)
    processor = hf.Kosmos2Processor(images, tokenizer, 16)
    text = {"embed_dim": 16, "layers": 2, "ffn_dim": 32, "attention_heads": 2}
    text |= {"vocab_size": len(tokenizer), "max_position_embeddings": 512}
    # Its processor leaves 64 places for a picture.
    config = hf.Kosmos2Config(text_config=text, vision_config=EYES, latent_query_num=64)
    return hf.Kosmos2ForConditionalGeneration(config), processor


@tiny("transformers", max_new_tokens=TOKENS, prompt="<image>caption en")
def paligemma() -> tuple[Any, ...]:
    """Build PaliGemma 2."""
    import transformers as hf

    tokenizer = vocabularies.gemma()
    tokenizer.chat_template = None
    images = hf.SiglipImageProcessorPil(size=SQUARE)
    images.image_seq_length = (SIDE // PATCH) ** 2
    processor = hf.PaliGemmaProcessor(images, tokenizer)
    ends = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
    text = {
        "model_type": "gemma2",
        "num_key_value_heads": 2,
        "head_dim": 8,
        "vocab_size": len(tokenizer),
        "query_pre_attn_scalar": 8,
    }
    eyes = {**EYES, "model_type": "siglip_vision_model", "vision_use_head": False}
    config = hf.PaliGemmaConfig(
        vision_config={**eyes, "projection_dim": 16},
        text_config={**BODY, **text, **ends},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        projection_dim=16,
        hidden_size=16,
        **ends,
    )
    return hf.PaliGemmaForConditionalGeneration(config), processor
