"""Chat models that see: asked in turns, by their own template."""

from typing import Any

from tiny_checkpoints import vocabularies
from tiny_checkpoints.classes import BODY, SIDE, tiny

PATCH = 8
TEXT = {**BODY, "num_key_value_heads": 2}
EYES = {**BODY, "image_size": SIDE, "patch_size": PATCH}
TOWER = {"depth": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2}
SQUARE = {"height": SIDE, "width": SIDE}
ENDS = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
SIGLIP = {**EYES, "model_type": "siglip_vision_model", "vision_use_head": False}
ASKED: dict[str, Any] = {"max_new_tokens": 6, "prompt": "Describe this image."}
VIDEO = ("torchvision",)


def _qwen_eyes_and_ears(tokenizer: Any) -> dict[str, int]:
    return vocabularies.ids(
        tokenizer,
        image_token_id="<|image_pad|>",
        video_token_id="<|video_pad|>",
        vision_start_token_id="<|vision_start|>",
        vision_end_token_id="<|vision_end|>",
    )


def qwen25vl_model(tokenizer: Any) -> Any:
    """Return Qwen2.5-VL, which pipelines have for a text encoder too."""
    import transformers as hf

    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 1, 2]}
    config = hf.Qwen2_5_VLConfig(
        text_config={**TEXT, "vocab_size": len(tokenizer), "rope_parameters": rope},
        vision_config={**TOWER, "out_hidden_size": 16, "fullatt_block_indexes": [1]},
        **_qwen_eyes_and_ears(tokenizer),
    )
    return hf.Qwen2_5_VLForConditionalGeneration(config)


def qwen_processor(tokenizer: Any, generation: str, patch: int) -> Any:
    """Return the processor of a generation of Qwen-VL ("2_5_", "3"), its part for videos too."""
    import transformers as hf

    sizes = {"patch_size": patch, "merge_size": 2, "temporal_patch_size": 2}
    edges = {"shortest_edge": (2 * patch) ** 2, "longest_edge": (8 * patch) ** 2}
    video = hf.Qwen3VLVideoProcessor if generation == "3" else hf.Qwen2VLVideoProcessor
    return getattr(hf, f"Qwen{generation}VLProcessor")(
        hf.Qwen2VLImageProcessorPil(**sizes, size=edges),
        tokenizer,
        video(**sizes),
        chat_template=vocabularies.QWEN_CHAT,
    )


def _talkative(model: Any, tokenizer: Any) -> Any:
    """Let a checkpoint ask for what real ones ask for: several ends, sampling, a penalty."""
    config = model.generation_config
    config.eos_token_id = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    config.pad_token_id = tokenizer.pad_token_id
    config.do_sample, config.temperature, config.repetition_penalty = True, 0.1, 1.05
    return model


@tiny("transformers", needs=VIDEO, **ASKED)
def qwen25vl() -> tuple[Any, ...]:
    """Build Qwen2.5-VL."""
    tokenizer = vocabularies.qwen()
    model = _talkative(qwen25vl_model(tokenizer), tokenizer)
    return model, qwen_processor(tokenizer, "2_5_", 14)


@tiny("transformers", needs=VIDEO, **ASKED)
def qwen3vl() -> tuple[Any, ...]:
    """Build Qwen3-VL."""
    import transformers as hf

    tokenizer = vocabularies.qwen()
    rope = {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [2, 1, 1]}
    rope |= {"mrope_interleaved": True}
    eyes = {"patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    config = hf.Qwen3VLConfig(
        text_config={**TEXT, "head_dim": 8, "vocab_size": len(tokenizer), "rope_parameters": rope},
        vision_config={**TOWER, **eyes, "out_hidden_size": 16},
        **_qwen_eyes_and_ears(tokenizer),
    )
    model = _talkative(hf.Qwen3VLForConditionalGeneration(config), tokenizer)
    return model, qwen_processor(tokenizer, "3", 16)


def _gemma_tokenizer() -> Any:
    return vocabularies.gemma(extra_special_tokens=vocabularies.GEMMA_MEDIA)


@tiny("transformers", **ASKED)
def gemma3() -> tuple[Any, ...]:
    """Build Gemma 3, whose end of a turn only its generation_config names."""
    import transformers as hf

    tokenizer = _gemma_tokenizer()
    named = {"boi_token_index": "<start_of_image>", "eoi_token_index": "<end_of_image>"}
    named |= {"image_token_index": "<image_soft_token>"}
    text = {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 64}
    config = hf.Gemma3Config(
        text_config={**TEXT, **text, "vocab_size": len(tokenizer)},
        vision_config={**EYES, "vision_use_head": False},
        mm_tokens_per_image=4,
        **vocabularies.ids(tokenizer, **named),
    )
    model = hf.Gemma3ForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(
        ["<eos>", "<end_of_turn>"]
    )
    processor = hf.Gemma3Processor(
        hf.Gemma3ImageProcessorPil(size=SQUARE),
        tokenizer,
        chat_template=vocabularies.gemma_chat("<start_of_image>"),
        image_seq_length=4,
    )
    return model, processor


def _gemma_ids(tokenizer: Any, *names: str) -> dict[str, int]:
    media = vocabularies.GEMMA_MEDIA
    return vocabularies.ids(
        tokenizer, **{f"{name}_token_id": media[f"{name}_token"] for name in names}
    )


@tiny("transformers", needs=VIDEO, **ASKED)
def gemma4() -> tuple[Any, ...]:
    """Build Gemma 4."""
    import transformers as hf

    tokenizer = _gemma_tokenizer()
    text = {
        "head_dim": 8,
        "global_head_dim": 8,
        "hidden_size_per_layer_input": 4,
        "vocab_size": len(tokenizer),
        "vocab_size_per_layer_input": len(tokenizer),
        "sliding_window": 64,
        "layer_types": ["sliding_attention", "full_attention"],
    }
    eyes = {"head_dim": 8, "patch_size": 4, "position_embedding_size": 512}
    config = hf.Gemma4Config(
        text_config={**TEXT, **text},
        vision_config={**TEXT, **eyes, "pooling_kernel_size": 3},
        audio_config=None,
        **_gemma_ids(tokenizer, "image", "boi", "audio", "boa", "video"),
    )
    images = hf.Gemma4ImageProcessorPil(patch_size=4, max_soft_tokens=70, pooling_kernel_size=3)
    processor = hf.Gemma4Processor(
        hf.Gemma4AudioFeatureExtractor(),
        images,
        tokenizer,
        hf.Gemma4VideoProcessor(patch_size=4),
        chat_template=vocabularies.gemma_chat("<image_soft_token>"),
    )
    return hf.Gemma4ForConditionalGeneration(config), processor


@tiny("transformers", needs=("timm",), **ASKED)
def gemma3n() -> tuple[Any, ...]:
    """Build Gemma 3n, whose tower is timm's: a test architecture here."""
    import transformers as hf

    tokenizer = _gemma_tokenizer()
    size = len(tokenizer)
    text = {
        "head_dim": 8,
        "vocab_size": size,
        "vocab_size_per_layer_input": size,
        "num_kv_shared_layers": 0,
        "hidden_size_per_layer_input": 4,
        "laurel_rank": 4,
        "altup_num_inputs": 2,
        "activation_sparsity_pattern": [0.0, 0.0],
        "sliding_window": 64,
        "layer_types": ["sliding_attention", "full_attention"],
    }
    ears: dict[str, Any] = {
        "hidden_size": 16,
        "conf_num_attention_heads": 2,
        "conf_num_hidden_layers": 1,
    }
    ears |= {"vocab_size": 8, "vocab_offset": size + 8, "sscp_conv_channel_size": [4, 4]}
    eyes = {"architecture": "test_resnet", "hidden_size": 96}
    config = hf.Gemma3nConfig(
        text_config={**TEXT, **text},
        # The towers' own tokens come behind those of the text.
        vision_config={**eyes, "vocab_size": 8, "vocab_offset": size},
        audio_config=ears,
        vision_soft_tokens_per_image=4,
        **_gemma_ids(tokenizer, "image", "boi", "audio", "boa", "eoa"),
    )
    processor = hf.Gemma3nProcessor(
        hf.Gemma3nAudioFeatureExtractor(),
        hf.SiglipImageProcessorPil(size={"height": 64, "width": 64}),
        tokenizer,
        chat_template=vocabularies.gemma_chat("<image_soft_token>"),
        image_seq_length=4,
    )
    return hf.Gemma3nForConditionalGeneration(config), processor


def llama_tokenizer(image: str, **more: Any) -> Any:
    """Return Llama's tokenizer; `image` is its token for a picture."""
    begin = "<|begin_of_text|>"
    return vocabularies.bytes_of(
        vocabularies.LLAMA,
        before=begin,
        bos_token=begin,
        eos_token="<|eot_id|>",
        pad_token="<|finetune_right_pad_id|>",
        extra_special_tokens={"image_token": image},
        **more,
    )


@tiny("transformers", system="You are a captioner.", **ASKED)
def joycaption() -> tuple[Any, ...]:
    """Build JoyCaption: LLaVA of SigLIP and Llama, told what it is."""
    import transformers as hf

    tokenizer = llama_tokenizer("<image>")
    config = hf.LlavaConfig(
        vision_config=SIGLIP,
        text_config={"model_type": "llama", **TEXT, **ENDS, "vocab_size": len(tokenizer)},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_select_strategy="full",
        vision_feature_layer=-2,
    )
    processor = hf.LlavaProcessor(
        hf.SiglipImageProcessorPil(size=SQUARE),
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        chat_template=vocabularies.llama_chat("<image>"),
    )
    return hf.LlavaForConditionalGeneration(config), processor


def _mistral(tokenizer: Any, layers: int = 2) -> dict[str, Any]:
    return {
        **TEXT,
        "num_hidden_layers": layers,
        "model_type": "mistral",
        "head_dim": 8,
        "vocab_size": len(tokenizer),
        **ENDS,
    }


PIXTRAL_EYES = {
    **BODY,
    "model_type": "pixtral",
    "image_size": 64,
    "patch_size": PATCH,
    "head_dim": 8,
}


def _pixtral_processor(merge: int) -> Any:
    import transformers as hf

    special = ("<s>", "</s>", "<pad>", "[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]")
    tokenizer = vocabularies.bytes_of(special, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    tokenizer.padding_side = "left"
    return hf.PixtralProcessor(
        hf.PixtralImageProcessorPil(
            patch_size={"height": PATCH, "width": PATCH}, size={"longest_edge": 64}
        ),
        tokenizer,
        patch_size=PATCH,
        spatial_merge_size=merge,
        chat_template=vocabularies.turns("[INST]", "[/INST]", "[IMG]", "", start="<s>"),
    )


@tiny("transformers", needs=VIDEO, **ASKED)
def pixtral() -> tuple[Any, ...]:
    """Build Pixtral: LLaVA of its tower and Mistral."""
    import transformers as hf

    processor = _pixtral_processor(merge=1)
    config = hf.LlavaConfig(
        vision_config=PIXTRAL_EYES,
        text_config=_mistral(processor.tokenizer),
        image_token_id=processor.tokenizer.convert_tokens_to_ids("[IMG]"),
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
    )
    return hf.LlavaForConditionalGeneration(config), processor


def mistral3_parts(layers: int = 2) -> tuple[Any, Any]:
    """Return Mistral 3 and its processor, which FLUX.2 has for a text encoder."""
    import transformers as hf

    processor = _pixtral_processor(merge=2)
    config = hf.Mistral3Config(
        vision_config=PIXTRAL_EYES,
        text_config=_mistral(processor.tokenizer, layers),
        image_token_id=processor.tokenizer.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
    )
    return hf.Mistral3ForConditionalGeneration(config), processor


@tiny("transformers", needs=VIDEO, **ASKED)
def mistral3() -> tuple[Any, ...]:
    """Build Mistral 3."""
    return mistral3_parts()


@tiny("transformers", **ASKED)
def mllama() -> tuple[Any, ...]:
    """Build Llama 3.2 Vision: tiles, read by cross attention."""
    import transformers as hf

    tokenizer = llama_tokenizer("<|image|>")
    text = {**TEXT, "num_hidden_layers": 3, "cross_attention_layers": [1]}
    eyes = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "attention_heads": 2,
        "num_hidden_layers": 2,
        "num_global_layers": 1,
        "image_size": SIDE,
        # As wide as its last states and those of two layers.
        "intermediate_layers_indices": [0, 1],
        "vision_output_dim": 48,
        "patch_size": PATCH,
        "max_num_tiles": 4,
    }
    config = hf.MllamaConfig(
        vision_config=eyes,
        text_config={**text, **ENDS, "vocab_size": len(tokenizer)},
        image_token_index=tokenizer.convert_tokens_to_ids("<|image|>"),
    )
    images = hf.MllamaImageProcessorPil(size=SQUARE, max_image_tiles=4)
    processor = hf.MllamaProcessor(images, tokenizer, vocabularies.llama_chat("<|image|>"))
    return hf.MllamaForConditionalGeneration(config), processor


def _idefics(kind: str, *videos: Any) -> tuple[Any, Any]:
    """Return Idefics 3, or SmolVLM, which splits pictures into tiles as well."""
    import transformers as hf

    special = ["<|im_start|>", "<end_of_utterance>", "<|endoftext|>", "<fake_token_around_image>"]
    special += ["<image>", "<global-img>"]
    special += [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    begin, end = special[:2]
    tokenizer = vocabularies.bytes_of(
        special, bos_token=begin, eos_token=end, pad_token="<|endoftext|>"
    )
    edges = {"size": {"longest_edge": 2 * SIDE}, "max_image_size": {"longest_edge": SIDE}}
    chat = vocabularies.turns(
        "{{ m['role'] | capitalize }}:", f"{end}\n", "<image>", "Assistant:", start=begin
    )
    processor = getattr(hf, f"{kind}Processor")(
        getattr(hf, f"{kind}ImageProcessorPil")(**edges),
        tokenizer,
        *videos,
        image_seq_len=4,
        chat_template=chat,
    )
    config = getattr(hf, f"{kind}Config")(
        vision_config=EYES,
        text_config={"model_type": "llama", **TEXT, **ENDS, "vocab_size": len(tokenizer)},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=2,
    )
    model = getattr(hf, f"{kind}ForConditionalGeneration")(config)
    model.generation_config.eos_token_id = 1
    return model, processor


@tiny("transformers", **ASKED)
def idefics3() -> tuple[Any, ...]:
    """Build Idefics 3."""
    return _idefics("Idefics3")


@tiny("transformers", needs=("torchvision", "num2words"), **ASKED)
def smolvlm() -> tuple[Any, ...]:
    """Build SmolVLM."""
    import transformers as hf

    edge = {"longest_edge": SIDE}
    return _idefics("SmolVLM", hf.SmolVLMVideoProcessor(size=edge, max_image_size=edge))


@tiny("transformers", needs=VIDEO, **ASKED)
def internvl() -> tuple[Any, ...]:
    """Build InternVL."""
    import transformers as hf

    media = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tokenizer = vocabularies.bytes_of(
        (*vocabularies.QWEN, *media.values()),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=media,
    )
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = hf.InternVLConfig(
        vision_config={**BODY, "image_size": [SIDE, SIDE], "patch_size": [PATCH, PATCH]},
        text_config={"model_type": "qwen2", **TEXT, **ends, "vocab_size": len(tokenizer)},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        downsample_ratio=0.5,
    )
    processor = hf.InternVLProcessor(
        hf.GotOcr2ImageProcessorPil(size=SQUARE, max_patches=4),
        tokenizer,
        hf.InternVLVideoProcessor(size=SQUARE),
        image_seq_length=4,
        chat_template=vocabularies.turns(
            "<|im_start|>{{ m['role'] }}\n",
            "<|im_end|>\n",
            "<IMG_CONTEXT>\n",
            "<|im_start|>assistant\n",
        ),
    )
    return hf.InternVLForConditionalGeneration(config), processor
