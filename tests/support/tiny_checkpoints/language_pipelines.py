"""Text→image pipelines whose texts are read by a language model."""

from typing import Any

from tiny_checkpoints import vocabularies
from tiny_checkpoints.chat_models import (
    mistral3_parts,
    qwen25vl_model,
    qwen_processor,
)
from tiny_checkpoints.classes import BODY, SIDE, tiny
from tiny_checkpoints.pipelines import (
    SMALL,
    TWO_HEADS,
    UNBINNED,
    autoencoder,
    clip_reader,
    flow,
    glyph_reader,
    t5_reader,
)

HEADS = {"num_key_value_heads": 2, "head_dim": 8}


def _reader(model: Any, tokenizer: Any) -> dict[str, Any]:
    return {"text_encoder": model, "tokenizer": tokenizer}


def _qwen3(layers: int = 2, kind: str = "Qwen3Model") -> dict[str, Any]:
    import transformers as hf

    tokenizer = vocabularies.qwen()
    config = hf.Qwen3Config(
        **{**BODY, "num_hidden_layers": layers},
        **HEADS,
        vocab_size=len(tokenizer),
        max_position_embeddings=4096,
    )
    return _reader(getattr(hf, kind)(config), tokenizer)


def _qwen25vl() -> dict[str, Any]:
    tokenizer = vocabularies.qwen()
    return _reader(qwen25vl_model(tokenizer), tokenizer)


def _gemma2() -> dict[str, Any]:
    import transformers as hf

    tokenizer = vocabularies.gemma(300)
    config = hf.Gemma2Config(**BODY, **HEADS, vocab_size=len(tokenizer), query_pre_attn_scalar=8)
    return _reader(hf.Gemma2Model(config), tokenizer)


def _flux2_parts(distilled: bool) -> dict[str, Any]:
    from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel

    transformer = Flux2Transformer2DModel(
        **TWO_HEADS,
        # Four latent channels in patches of two by two.
        in_channels=16,
        attention_head_dim=16,
        # Hidden states of three layers side by side.
        joint_attention_dim=48,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=not distilled,
    )
    vae = AutoencoderKLFlux2(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=SIDE,
    )
    return {"transformer": transformer, "vae": vae, "scheduler": flow(use_dynamic_shifting=True)}


@tiny("diffusers", **SMALL)
def flux2_klein() -> tuple[Any, ...]:
    """Build FLUX.2-klein: distilled, and reading layers of Qwen 3 by their number."""
    from diffusers import Flux2KleinPipeline

    reader = _qwen3(layers=28, kind="Qwen3ForCausalLM")
    return (Flux2KleinPipeline(is_distilled=True, **reader, **_flux2_parts(distilled=True)),)


@tiny("diffusers", guidance=4.0, needs=("torchvision",), **SMALL)
def flux2_dev() -> tuple[Any, ...]:
    """Build FLUX.2-dev, whose tokenizer is a processor."""
    from diffusers import Flux2Pipeline

    return (Flux2Pipeline(**_reader(*mistral3_parts(31)), **_flux2_parts(distilled=False)),)


@tiny("diffusers", guidance=0.0, **SMALL)
def z_image() -> tuple[Any, ...]:
    """Build Z-Image."""
    import torch
    from diffusers import ZImagePipeline, ZImageTransformer2DModel

    transformer = ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        axes_dims=[8, 4, 4],
        axes_lens=[1024, 64, 64],
    )
    with torch.no_grad():
        # Its class leaves them as memory had them.
        for name in ("x_pad_token", "cap_pad_token"):
            getattr(transformer, name).fill_(0.5)
    vae = autoencoder(quant=False, shift_factor=0.1159)
    parts = {"transformer": transformer, "scheduler": flow(shift=3.0), "vae": vae}
    return (ZImagePipeline(**parts, **_qwen3()),)


@tiny("diffusers", negative_prompt=" ", true_cfg=4.0, **SMALL)
def qwen_image() -> tuple[Any, ...]:
    """Build Qwen-Image, guided by a negative prompt only."""
    from diffusers import AutoencoderKLQwenImage, QwenImagePipeline, QwenImageTransformer2DModel

    transformer = QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(8, 4, 4),
    )
    vae = AutoencoderKLQwenImage(
        base_dim=24,
        z_dim=4,
        dim_mult=[1, 2, 4],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    scheduler = flow(use_dynamic_shifting=True)
    parts = {"transformer": transformer, "vae": vae, "scheduler": scheduler}
    return (QwenImagePipeline(**parts, **_qwen25vl()),)


@tiny("diffusers", **SMALL)
def hunyuan_image() -> tuple[Any, ...]:
    """Build HunyuanImage, with another guider for prompts that have quoted text."""
    import diffusers

    transformer = diffusers.HunyuanImageTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=4,
        num_layers=1,
        attention_head_dim=8,
        num_single_layers=1,
        num_refiner_layers=1,
        text_embed_dim=16,
        text_embed_2_dim=16,
        rope_axes_dim=(4, 4),
    )
    vae = diffusers.AutoencoderKLHunyuanImage(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        layers_per_block=1,
        block_out_channels=(32,) * 4,
        spatial_compression_ratio=8,
        sample_size=SIDE,
        scaling_factor=0.75,
    )
    guider = diffusers.AdaptiveProjectedMixGuidance
    pipeline = diffusers.HunyuanImagePipeline(
        transformer=transformer,
        vae=vae,
        scheduler=flow(shift=5.0),
        guider=guider(adaptive_projected_guidance_start_step=1),
        ocr_guider=guider(adaptive_projected_guidance_start_step=2, guidance_scale=9.0),
        **_qwen25vl(),
        **glyph_reader("_2"),
    )
    return (pipeline,)


@tiny("diffusers", needs=("torchvision",), steps=1, height=1024, width=1024)
def kandinsky5() -> tuple[Any, ...]:
    """Build Kandinsky 5, which has seven sizes, none of them small."""
    from diffusers import Kandinsky5T2IPipeline, Kandinsky5Transformer3DModel

    transformer = Kandinsky5Transformer3DModel(
        in_visual_dim=4,
        out_visual_dim=4,
        in_text_dim=16,
        in_text_dim2=16,
        time_dim=16,
        model_dim=32,
        ff_dim=32,
        num_text_blocks=1,
        num_visual_blocks=1,
        axes_dims=(8, 4, 4),
    )
    tokenizer = vocabularies.qwen()
    reader = _reader(qwen25vl_model(tokenizer), qwen_processor(tokenizer, "2_5_", 14))
    parts = {"transformer": transformer, "vae": autoencoder(levels=4), "scheduler": flow()}
    return (Kandinsky5T2IPipeline(**parts, **reader, **clip_reader("_2")),)


@tiny("diffusers", **UNBINNED, **SMALL)
def sana() -> tuple[Any, ...]:
    """Build Sana, of a deep autoencoder; it would draw at 512 pixels whatever is asked."""
    import diffusers

    transformer = diffusers.SanaTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_layers=1,
        caption_channels=16,
        num_attention_heads=2,
        attention_head_dim=8,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        # It chooses the table of sizes: 16 for 512 pixels.
        sample_size=16,
    )
    sides = {
        f"{side}_{key}": value
        for side in ("encoder", "decoder")
        for key, value in {
            "block_types": ("ResBlock",) * 5 + ("EfficientViTBlock",),
            "block_out_channels": (8,) * 6,
            "qkv_multiscales": ((),) * 5 + ((5,),),
            "layers_per_block": (1,) * 6,
        }.items()
    }
    vae = diffusers.AutoencoderDC(
        latent_channels=4,
        attention_head_dim=2,
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        decoder_norm_types="rms_norm",
        decoder_act_fns="silu",
        scaling_factor=0.41407,
        **sides,
    )
    scheduler = diffusers.DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True
    )
    parts = {"transformer": transformer, "vae": vae, "scheduler": scheduler}
    return (diffusers.SanaPipeline(**parts, **_gemma2()),)


@tiny("diffusers", **SMALL)
def lumina2() -> tuple[Any, ...]:
    """Build Lumina 2, which takes an autoencoder of factor 8 for granted."""
    from diffusers import Lumina2Pipeline, Lumina2Transformer2DModel

    transformer = Lumina2Transformer2DModel(
        sample_size=SIDE // 2,
        in_channels=4,
        hidden_size=32,
        num_layers=1,
        num_refiner_layers=1,
        num_attention_heads=2,
        num_kv_heads=1,
        multiple_of=16,
        cap_feat_dim=16,
        axes_dim_rope=(8, 4, 4),
        axes_lens=(512, 64, 64),
    )
    vae = autoencoder(levels=4, quant=False, shift_factor=0.1159)
    parts = {"transformer": transformer, "vae": vae, "scheduler": flow(shift=6.0)}
    return (Lumina2Pipeline(**parts, **_gemma2()),)


@tiny("diffusers", **SMALL)
def cogview4() -> tuple[Any, ...]:
    """Build CogView 4, padded on the left."""
    import transformers as hf
    from diffusers import CogView4Pipeline, CogView4Transformer2DModel

    end = "<|endoftext|>"
    # A token before each text, so that the empty negative prompt has one too.
    tokenizer = vocabularies.bytes_of(
        (end, "[gMASK]", "<sop>"), before="[gMASK]", eos_token=end, pad_token=end
    )
    tokenizer.padding_side = "left"
    config = hf.GlmConfig(**BODY, **HEADS, vocab_size=len(tokenizer), pad_token_id=0)
    transformer = CogView4Transformer2DModel(
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        text_embed_dim=16,
        time_embed_dim=8,
        condition_dim=4,
        rope_axes_dim=(16, 16),
    )
    scheduler = flow(base_shift=0.25, max_shift=0.75, use_dynamic_shifting=True)
    parts = {"transformer": transformer, "vae": autoencoder(), "scheduler": scheduler}
    return (CogView4Pipeline(**parts, **_reader(hf.GlmModel(config), tokenizer)),)


@tiny("diffusers", steps=2, height=256, width=256)
def hidream() -> tuple[Any, ...]:
    """Build HiDream: four text encoders, and one area whatever size is asked."""
    import transformers as hf
    from diffusers import HiDreamImagePipeline, HiDreamImageTransformer2DModel

    begin = "<|begin_of_text|>"
    tokenizer = vocabularies.bytes_of(
        vocabularies.LLAMA,
        before=begin,
        bos_token=begin,
        eos_token="<|eot_id|>",
        model_max_length=4096,
    )
    ends = {"bos_token_id": 0, "eos_token_id": 1, "num_key_value_heads": 2}
    llama = hf.LlamaForCausalLM(hf.LlamaConfig(**BODY, **ends, vocab_size=len(tokenizer)))
    transformer = HiDreamImageTransformer2DModel(
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_channels=[16, 16],
        text_emb_dim=32,
        num_routed_experts=4,
        num_activated_experts=2,
        llama_layers=[0, 1],
        axes_dims_rope=(4, 2, 2),
        max_resolution=(32, 32),
        force_inference_output=True,
    )
    readers = {
        **clip_reader(projected=True, limit=218),
        **clip_reader("_2", projected=True, limit=218),
        **t5_reader("_3"),
        "text_encoder_4": llama,
        "tokenizer_4": tokenizer,
    }
    vae = autoencoder(shift_factor=0.1159)
    parts = {"transformer": transformer, "vae": vae, "scheduler": flow()}
    return (HiDreamImagePipeline(**parts, **readers),)


def _glm_prior() -> dict[str, Any]:
    """Return the language model that draws GLM-Image's tokens, and its processor."""
    import transformers as hf

    end = "<|endoftext|>"
    special = (end, "[gMASK]", "<sop>", "<|image|>", "<|dit_token_16384|>", "<|dit_token_16385|>")
    roles = {"image_token": "<|image|>", "grid_bos_token": "<sop>", "grid_eos_token": end}
    tokenizer = vocabularies.bytes_of(
        special, eos_token=end, pad_token=end, bos_token="<sop>", extra_special_tokens=roles
    )
    tokenizer.padding_side = "left"
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}
    text = {
        **BODY,
        "num_key_value_heads": 2,
        "vocab_size": len(tokenizer),
        # Eight more than the codebook has.
        "vision_vocab_size": 136,
        "max_position_embeddings": 2048,
        "rope_parameters": rope,
        "pad_token_id": 0,
        "eos_token_id": 129,
    }
    eyes = {"depth": 1, "hidden_size": 16, "num_heads": 2, "intermediate_size": 32}
    config = hf.GlmImageConfig(
        text_config=text,
        vision_config={**eyes, "image_size": SIDE, "patch_size": 8},
        vq_config={"embed_dim": 16, "num_embeddings": 128, "latent_channels": 16},
        image_token_id=3,
        image_start_token_id=128,
        image_end_token_id=129,
    )
    chat = vocabularies.turns("", "", "<|image|>", "", start="[gMASK]<sop>")
    processor = hf.GlmImageProcessor(hf.GlmImageImageProcessorPil(), tokenizer, chat_template=chat)
    model = hf.GlmImageForConditionalGeneration(config)
    return {"vision_language_encoder": model, "processor": processor}


@tiny("diffusers", **SMALL)
def glm_image() -> tuple[Any, ...]:
    """Build GLM-Image: a prior of tokens, then a transformer that draws them."""
    from diffusers import GlmImagePipeline, GlmImageTransformer2DModel

    transformer = GlmImageTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        text_embed_dim=16,
        time_embed_dim=8,
        condition_dim=4,
        prior_vq_quantizer_codebook_size=128,
    )
    # A token is a cell of 16 pixels: 8 of the autoencoder in patches of 2.
    vae = autoencoder(levels=4, latents_mean=[0.0] * 4, latents_std=[1.0] * 4)
    scheduler = flow(use_dynamic_shifting=True)
    parts = {"transformer": transformer, "vae": vae, "scheduler": scheduler}
    return (GlmImagePipeline(**parts, **_glm_prior(), **glyph_reader()),)
