"""Text-to-image pipelines of full size with random weights.

Each function saves one into a folder; `tiny` makes the same classes small enough for a test.
"""

from pathlib import Path
from typing import Any

from full_size import tokenizers

Table = dict[str, Any]


def _clip(width: int, layers: int, heads: int, *, projected: bool, tiny: bool) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    tokenizer = tokenizers.clip()
    if tiny:
        width, layers, heads = 16, 1, 2
    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        projection_dim=width,
        hidden_act="gelu",
        vocab_size=49408,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        max_position_embeddings=77,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config), tokenizer


def _t5(*, tiny: bool) -> Any:
    from transformers import T5Config, T5EncoderModel

    # T5 XXL's encoder, 4.76 B.
    full = {"d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
    small = {"d_model": 32, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    config = T5Config(**(small if tiny else full), vocab_size=32128, feed_forward_proj="gated-gelu")
    return T5EncoderModel(config), tokenizers.t5()


def _autoencoder(latents: int, *, tiny: bool, **more: Any) -> Any:
    from diffusers import AutoencoderKL

    channels = (8, 8) if tiny else (128, 256, 512, 512)
    return AutoencoderKL(
        block_out_channels=channels,
        norm_num_groups=4 if tiny else 32,
        layers_per_block=1 if tiny else 2,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        latent_channels=latents,
        **more,
    )


def _flow(**more: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**more)


def sdxl_turbo(folder: Path, tiny: bool) -> None:
    """Save SDXL-Turbo: a UNet of 2.57 B, two of CLIP's text encoders, one step."""
    from diffusers import (
        EulerAncestralDiscreteScheduler,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )

    first, first_tokenizer = _clip(768, 12, 12, projected=False, tiny=tiny)
    second, second_tokenizer = _clip(1280, 32, 20, projected=True, tiny=tiny)
    width = first.config.hidden_size + second.config.hidden_size
    full: Table = {
        "block_out_channels": (320, 640, 1280),
        "attention_head_dim": (5, 10, 20),
        "transformer_layers_per_block": (1, 2, 10),
        "addition_time_embed_dim": 256,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    }
    small: Table = {
        "block_out_channels": (8, 16),
        "attention_head_dim": 2,
        "transformer_layers_per_block": 1,
        "addition_time_embed_dim": 8,
        "norm_num_groups": 4,
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    }
    body = small if tiny else full
    unet = UNet2DConditionModel(
        **body,
        sample_size=64,
        cross_attention_dim=width,
        use_linear_projection=True,
        addition_embed_type="text_time",
        # Six numbers of size and crop, and the pooled text.
        projection_class_embeddings_input_dim=6 * body["addition_time_embed_dim"]
        + second.config.projection_dim,
    )
    StableDiffusionXLPipeline(
        vae=_autoencoder(4, tiny=tiny, scaling_factor=0.13025),
        text_encoder=first,
        tokenizer=first_tokenizer,
        text_encoder_2=second,
        tokenizer_2=second_tokenizer,
        unet=unet,
        scheduler=EulerAncestralDiscreteScheduler(timestep_spacing="trailing"),
    ).save_pretrained(folder)


def sd35_medium(folder: Path, tiny: bool) -> None:
    """Save Stable Diffusion 3.5 medium: a transformer of 2.24 B, three text encoders."""
    from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline

    first, first_tokenizer = _clip(768, 12, 12, projected=True, tiny=tiny)
    second, second_tokenizer = _clip(1280, 32, 20, projected=True, tiny=tiny)
    third, third_tokenizer = _t5(tiny=tiny)
    full: Table = {
        "sample_size": 128,
        "num_layers": 24,
        "num_attention_heads": 24,
        "attention_head_dim": 64,
        "caption_projection_dim": 1536,
        "pos_embed_max_size": 384,
        "dual_attention_layers": tuple(range(13)),
    }
    small: Table = {
        "sample_size": 8,
        "num_layers": 2,
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "caption_projection_dim": 16,
        "pos_embed_max_size": 32,
        "dual_attention_layers": (0,),
    }
    transformer = SD3Transformer2DModel(
        **(small if tiny else full),
        patch_size=2,
        in_channels=16,
        out_channels=16,
        joint_attention_dim=third.config.d_model,
        pooled_projection_dim=first.config.projection_dim + second.config.projection_dim,
        qk_norm="rms_norm",
    )
    StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=_flow(shift=3.0),
        vae=_autoencoder(
            16, tiny=tiny, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.0609
        ),
        text_encoder=first,
        tokenizer=first_tokenizer,
        text_encoder_2=second,
        tokenizer_2=second_tokenizer,
        text_encoder_3=third,
        tokenizer_3=third_tokenizer,
    ).save_pretrained(folder)


def flux_schnell(folder: Path, tiny: bool) -> None:
    """Save FLUX.1-schnell: a transformer of 11.9 B, T5 XXL and CLIP, four steps."""
    from diffusers import FluxPipeline, FluxTransformer2DModel

    first, first_tokenizer = _clip(768, 12, 12, projected=False, tiny=tiny)
    second, second_tokenizer = _t5(tiny=tiny)
    small: Table = {
        "num_layers": 1,
        "num_single_layers": 1,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "axes_dims_rope": (4, 4, 8),
    }
    transformer = FluxTransformer2DModel(
        **(small if tiny else {}),
        joint_attention_dim=second.config.d_model,
        pooled_projection_dim=first.config.hidden_size,
        guidance_embeds=False,
    )
    FluxPipeline(
        scheduler=_flow(),
        vae=_autoencoder(
            16, tiny=tiny, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.1159
        ),
        text_encoder=first,
        tokenizer=first_tokenizer,
        text_encoder_2=second,
        tokenizer_2=second_tokenizer,
        transformer=transformer,
    ).save_pretrained(folder)


def flux2_klein(folder: Path, tiny: bool) -> None:
    """Save FLUX.2-klein-4B: a transformer of 3.9 B and Qwen3-4B as text encoder, four steps."""
    from diffusers import AutoencoderKLFlux2, Flux2KleinPipeline, Flux2Transformer2DModel
    from transformers import Qwen3Config, Qwen3ForCausalLM

    full = {"hidden_size": 2560, "intermediate_size": 9728, "num_attention_heads": 32}
    small = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    encoder = Qwen3ForCausalLM(
        Qwen3Config(
            **(small if tiny else full),
            # The pipeline reads the layers 9, 18 and 27.
            num_hidden_layers=28 if tiny else 36,
            num_key_value_heads=2 if tiny else 8,
            head_dim=8 if tiny else 128,
            vocab_size=512 if tiny else 151936,
            tie_word_embeddings=True,
        )
    )
    body: Table = {"num_layers": 5, "num_single_layers": 20, "num_attention_heads": 24}
    if tiny:
        body = {"num_layers": 1, "num_single_layers": 1, "num_attention_heads": 2}
        body |= {"attention_head_dim": 16, "axes_dims_rope": (4, 4, 4, 4), "in_channels": 16}
    transformer = Flux2Transformer2DModel(
        **body, joint_attention_dim=3 * encoder.config.hidden_size, guidance_embeds=False
    )
    levels: Table = {
        "block_out_channels": (8, 8),
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "layers_per_block": 1,
        "latent_channels": 4,
        "norm_num_groups": 4,
    }
    Flux2KleinPipeline(
        scheduler=_flow(use_dynamic_shifting=True),
        vae=AutoencoderKLFlux2(**(levels if tiny else {})),
        text_encoder=encoder,
        tokenizer=tokenizers.qwen(),
        transformer=transformer,
        is_distilled=True,
    ).save_pretrained(folder)
