"""Text→image pipelines whose texts are read by CLIP, T5, or both."""

from typing import Any

from tiny_checkpoints import vocabularies
from tiny_checkpoints.classes import BODY, SIDE, tiny

SMALL: dict[str, Any] = {"steps": 2, "height": SIDE, "width": SIDE}
TWO_HEADS = {"num_layers": 1, "num_single_layers": 1, "num_attention_heads": 2}


def autoencoder(levels: int = 2, quant: bool = True, **more: Any) -> Any:
    """Return Stable Diffusion's autoencoder, of factor 2 a level but for the last."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8,) * levels,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        latent_channels=4,
        sample_size=SIDE,
        use_quant_conv=quant,
        use_post_quant_conv=quant,
        **more,
    )


def flow(**more: Any) -> Any:
    """Return the scheduler of flow models."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**more)


def clip_reader(number: str = "", projected: bool = False, limit: int = 77) -> dict[str, Any]:
    """Return CLIP's text encoder and tokenizer, as a pipeline's parts; `number` is "_2" or none."""
    import transformers as hf

    tokenizer = vocabularies.clip(limit)
    config = hf.CLIPTextConfig(
        **BODY,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        vocab_size=len(tokenizer),
        max_position_embeddings=limit,
        projection_dim=16,
        hidden_act="gelu",
    )
    model = (hf.CLIPTextModelWithProjection if projected else hf.CLIPTextModel)(config)
    return {f"text_encoder{number}": model, f"tokenizer{number}": tokenizer}


def t5_reader(number: str = "", width: int = 16, kind: str = "T5") -> dict[str, Any]:
    """Return the encoder of T5 or UMT5, and its tokenizer."""
    import transformers as hf

    tokenizer = vocabularies.t5()
    sizes = {"d_model": width, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    config = getattr(hf, f"{kind}Config")(
        **sizes, vocab_size=len(tokenizer), feed_forward_proj="gated-gelu"
    )
    model = getattr(hf, f"{kind}EncoderModel")(config)
    return {f"text_encoder{number}": model, f"tokenizer{number}": tokenizer}


def glyph_reader(number: str = "") -> dict[str, Any]:
    """Return ByT5's encoder, which reads the letters that a picture is to show."""
    import transformers as hf

    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    model = hf.T5EncoderModel(hf.T5Config(**sizes, vocab_size=384))
    return {f"text_encoder{number}": model, f"tokenizer{number}": hf.ByT5Tokenizer()}


def _unet(**more: Any) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=SIDE // 2,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=2,
        **more,
    )


def _sd15(**checker: Any) -> tuple[Any]:
    from diffusers import PNDMScheduler, StableDiffusionPipeline

    scheduler = PNDMScheduler(steps_offset=1, skip_prk_steps=True, beta_schedule="scaled_linear")
    absent = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    parts = {"unet": _unet(cross_attention_dim=16), "scheduler": scheduler, **absent, **checker}
    return (StableDiffusionPipeline(vae=autoencoder(), **clip_reader(), **parts),)


@tiny("diffusers", guidance=7.5, **SMALL)
def sd15() -> tuple[Any, ...]:
    """Build Stable Diffusion 1.5."""
    return _sd15()


@tiny("diffusers_edit", guidance=7.5, strength=0.7, **SMALL)
def sd15_edit() -> tuple[Any, ...]:
    """Build Stable Diffusion 1.5, to make a picture of the one before."""
    return _sd15()


@tiny("diffusers_edit", guidance=7.5, strength=0.7, image="image", mask="Mask", **SMALL)
def sd15_inpaint() -> tuple[Any, ...]:
    """Build Stable Diffusion 1.5, to make a part of the prompt's picture anew."""
    return _sd15()


@tiny("diffusers", safety_checker=False, **SMALL)
def sd15_with_checker() -> tuple[Any, ...]:
    """Build Stable Diffusion 1.5 with a safety checker that blackens whatever it sees."""
    import transformers as hf
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    eyes = {**BODY, "image_size": 16, "patch_size": 4}
    config = hf.CLIPConfig(vision_config=eyes, text_config=BODY, projection_dim=16)
    checker = StableDiffusionSafetyChecker(config)
    # Thresholds below any similarity.
    checker.concept_embeds_weights.data.fill_(-1.0)
    size = {"height": 16, "width": 16}
    return _sd15(
        safety_checker=checker,
        feature_extractor=hf.CLIPImageProcessorPil(size=size, crop_size=size),
        requires_safety_checker=True,
    )


def _sdxl(scheduler: Any) -> tuple[Any]:
    from diffusers import StableDiffusionXLPipeline

    unet = _unet(
        cross_attention_dim=32,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 2),
        # Six numbers of size and crop of 8 each, and the pooled text of 16.
        projection_class_embeddings_input_dim=64,
    )
    readers = {**clip_reader(), **clip_reader("_2", projected=True)}
    vae = autoencoder(force_upcast=True)
    return (StableDiffusionXLPipeline(vae=vae, unet=unet, scheduler=scheduler, **readers),)


@tiny("diffusers", negative_prompt="blurred", **SMALL)
def sdxl() -> tuple[Any, ...]:
    """Build SDXL."""
    from diffusers import EulerDiscreteScheduler

    return _sdxl(EulerDiscreteScheduler(timestep_spacing="leading", steps_offset=1))


@tiny("diffusers", guidance=0.0, **SMALL)
def sdxl_turbo() -> tuple[Any, ...]:
    """Build SDXL-Turbo, whose scheduler draws at every step."""
    from diffusers import EulerAncestralDiscreteScheduler

    return _sdxl(EulerAncestralDiscreteScheduler(timestep_spacing="trailing"))


@tiny("diffusers", max_sequence_length=128, **SMALL)
def sd35() -> tuple[Any, ...]:
    """Build Stable Diffusion 3.5: three text encoders of two lengths."""
    from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline

    transformer = SD3Transformer2DModel(
        sample_size=SIDE // 2,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        caption_projection_dim=16,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        pos_embed_max_size=32,
        qk_norm="rms_norm",
        dual_attention_layers=(0,),
    )
    readers = {**clip_reader(projected=True), **clip_reader("_2", projected=True)}
    pipeline = StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=flow(shift=3.0),
        vae=autoencoder(quant=False, shift_factor=0.0609),
        # As wide as the two of CLIP side by side.
        **t5_reader("_3", width=32),
        **readers,
    )
    return (pipeline,)


def _flux(guided: bool) -> tuple[Any]:
    from diffusers import FluxPipeline, FluxTransformer2DModel

    transformer = FluxTransformer2DModel(
        **TWO_HEADS,
        in_channels=16,
        attention_head_dim=16,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=guided,
    )
    pipeline = FluxPipeline(
        transformer=transformer,
        scheduler=flow(use_dynamic_shifting=guided),
        vae=autoencoder(quant=False, shift_factor=0.1159),
        **clip_reader(),
        **t5_reader("_2"),
    )
    return (pipeline,)


@tiny("diffusers", guidance=3.5, **SMALL)
def flux() -> tuple[Any, ...]:
    """Build FLUX.1-dev."""
    return _flux(guided=True)


@tiny("diffusers", max_sequence_length=256, **SMALL)
def flux_schnell() -> tuple[Any, ...]:
    """Build FLUX.1-schnell, which has no guidance."""
    return _flux(guided=False)


@tiny("diffusers", **SMALL)
def chroma() -> tuple[Any, ...]:
    """Build Chroma."""
    from diffusers import ChromaPipeline, ChromaTransformer2DModel

    transformer = ChromaTransformer2DModel(
        **TWO_HEADS,
        in_channels=16,
        attention_head_dim=16,
        joint_attention_dim=16,
        axes_dims_rope=(4, 4, 8),
        approximator_num_channels=8,
        approximator_hidden_dim=16,
        approximator_layers=1,
    )
    vae = autoencoder(quant=False, shift_factor=0.1159)
    return (ChromaPipeline(transformer=transformer, scheduler=flow(), vae=vae, **t5_reader()),)


UNBINNED: dict[str, Any] = {"arguments": {"use_resolution_binning": False, "clean_caption": False}}


def pixart(pipeline: Any) -> tuple[Any, ...]:
    """Return a pipeline of PixArt, which would draw at 256 pixels whatever is asked."""
    from diffusers import DPMSolverMultistepScheduler, PixArtTransformer2DModel

    transformer = PixArtTransformer2DModel(
        # It chooses the table of sizes: 32 for 256 pixels.
        sample_size=32,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        cross_attention_dim=16,
        caption_channels=16,
        use_additional_conditions=False,
    )
    scheduler = DPMSolverMultistepScheduler()
    return (
        pipeline(transformer=transformer, scheduler=scheduler, vae=autoencoder(), **t5_reader()),
    )


@tiny("diffusers", **UNBINNED, **SMALL)
def pixart_sigma() -> tuple[Any, ...]:
    """Build PixArt-Sigma."""
    from diffusers import PixArtSigmaPipeline

    return pixart(PixArtSigmaPipeline)


@tiny("diffusers", **UNBINNED, **SMALL)
def pixart_alpha() -> tuple[Any, ...]:
    """Build PixArt-alpha."""
    from diffusers import PixArtAlphaPipeline

    return pixart(PixArtAlphaPipeline)


@tiny("diffusers", **SMALL)
def aura_flow() -> tuple[Any, ...]:
    """Build AuraFlow."""
    from diffusers import AuraFlowPipeline, AuraFlowTransformer2DModel

    transformer = AuraFlowTransformer2DModel(
        sample_size=SIDE // 2,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=16,
        caption_projection_dim=32,
        pos_embed_max_size=256,
    )
    pipeline = AuraFlowPipeline(
        transformer=transformer,
        scheduler=flow(shift=1.73),
        vae=autoencoder(),
        **t5_reader(kind="UMT5"),
    )
    return (pipeline,)
