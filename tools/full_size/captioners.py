"""Captioners and an embedding model of full size with random weights.

Each function saves one into a folder; `tiny` makes the same classes small enough for a test.
"""

from pathlib import Path
from typing import Any

from full_size import tokenizers

Table = dict[str, Any]


def _body(width: int, inner: int, layers: int, heads: int) -> Table:
    return {
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
    }


def blip_large(folder: Path, tiny: bool) -> None:
    """Save BLIP large: eyes of 24 layers at 384 by 384, a decoder of 12."""
    from transformers import (
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessorPil,
        BlipProcessor,
    )

    tokenizer = tokenizers.bert()
    side = 32 if tiny else 384
    eyes = _body(16, 32, 1, 2) if tiny else _body(1024, 4096, 24, 16)
    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        "sep_token_id": tokenizer.sep_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    text = {
        **(_body(16, 32, 1, 2) if tiny else _body(768, 3072, 12, 12)),
        **ids,
        "vocab_size": 30524,
        "max_position_embeddings": 512,
        "encoder_hidden_size": eyes["hidden_size"],
    }
    config = BlipConfig(
        text_config=text, vision_config={**eyes, "image_size": side, "patch_size": 16}
    )
    BlipForConditionalGeneration(config).save_pretrained(folder)
    processor = BlipImageProcessorPil(size={"height": side, "width": side})
    BlipProcessor(processor, tokenizer).save_pretrained(folder)


def qwen25_vl_3b(folder: Path, tiny: bool) -> None:
    """Save Qwen2.5-VL 3B."""
    _qwen25_vl(folder, _body(2048, 11008, 36, 16), 2, tiny, tie=True)


def qwen25_vl_7b(folder: Path, tiny: bool) -> None:
    """Save Qwen2.5-VL 7B."""
    _qwen25_vl(folder, _body(3584, 18944, 28, 28), 4, tiny, tie=False)


def _qwen25_vl(folder: Path, body: Table, kv_heads: int, tiny: bool, *, tie: bool) -> None:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokenizer = tokenizers.qwen()
    text = _body(16, 32, 2, 2) if tiny else body
    eyes: Table = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16}
    eyes |= {"fullatt_block_indexes": [7, 15, 23, 31]}
    if tiny:
        eyes = {"depth": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2}
        eyes |= {"fullatt_block_indexes": [1]}
    sections = [1, 1, 2] if tiny else [16, 24, 24]
    ids = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    config = Qwen2_5_VLConfig(
        text_config={
            **text,
            "num_key_value_heads": 2 if tiny else kv_heads,
            "vocab_size": 512 if tiny else 151936,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": sections,
            },
        },
        vision_config={**eyes, "out_hidden_size": text["hidden_size"]},
        tie_word_embeddings=tie,
        **{name: tokenizer.convert_tokens_to_ids(piece) for name, piece in ids.items()},
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    _qwen_processor(tokenizer).save_pretrained(folder)


def _qwen_processor(tokenizer: Any) -> Any:
    from transformers import Qwen2_5_VLProcessor, Qwen2VLImageProcessorPil, Qwen2VLVideoProcessor

    sizes = {"patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}
    return Qwen2_5_VLProcessor(
        Qwen2VLImageProcessorPil(**sizes),
        tokenizer,
        Qwen2VLVideoProcessor(**sizes),
        chat_template=tokenizers.CHAT_TEMPLATE,
    )


def text_embedding(folder: Path, tiny: bool) -> None:
    """Save an embedding model of BERT base: 12 layers, mean of tokens, unit length."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import BertConfig, BertModel

    body = _body(16, 32, 1, 2) if tiny else _body(768, 3072, 12, 12)
    whole = folder.with_name(f"{folder.name}-body")
    tokenizer = tokenizers.bert()
    BertModel(BertConfig(**body, vocab_size=30522)).save_pretrained(whole)
    tokenizer.save_pretrained(whole)
    modules = [Transformer(str(whole)), Pooling(body["hidden_size"], "mean"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(
        str(folder), create_model_card=False
    )
