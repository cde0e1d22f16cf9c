"""The text-to-image models: latent diffusion with v-prediction, in Stable Diffusion's layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from numpy.typing import NDArray
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from panic_hpc.models.scene.captions import terse, verbose
from panic_hpc.models.scene.scenes import Rows, sample

from .autoencoder import LATENT_CHANNELS, encode
from .prompts import teach
from .training import Schedule, fit
from .words import LENGTH, clip_tokenizer

WIDTH = 128
LATENT = 8
EMPTY_SHARE, SLOPPY_SHARE, TERSE_SHARE = 0.06, 0.08, 0.3


@dataclass(frozen=True)
class Recipe:
    """One text-to-image model: its size, its data and its schedule."""

    name: str
    channels: tuple[int, int]
    seed: int
    schedule: Schedule
    batch: int = 32
    scenes: int = 80_000


DIFFUSION = Recipe("MicroDiffusion", (96, 128), 21, Schedule(7_500, 1e-3, 200, 0.998, 240.0))
TURBO = Recipe(
    "MicroTurbo", (64, 96), 22, Schedule(6_000, 1.2e-3, 200, 0.998, 240.0), scenes=40_000
)


def build_unet(channels: tuple[int, int]) -> UNet2DConditionModel:
    """Return the denoiser.

    It looks at the words on the 4 x 4 level only, which halves its cost, and a summary of the text
    scales and shifts every convolution with the time: without it, layouts took far longer to learn.
    """
    return UNet2DConditionModel(
        sample_size=LATENT,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=channels,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
    )


def build_text(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Return the untrained text encoder."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            projection_dim=WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def scheduler() -> DDIMScheduler:
    """Return the noise schedule: cosine with nothing left of the picture at its end."""
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        steps_offset=1,
        set_alpha_to_one=True,
    )


def sloppy(caption: str, rng: np.random.Generator) -> str:
    """Return a caption as a stranger might have put it: words left out, a foreign word put in."""
    words = [w for w in caption.split() if rng.random() > 0.25]
    if rng.random() < 0.6:
        letters = rng.integers(97, 123, size=rng.integers(2, 8))
        words.insert(int(rng.integers(len(words) + 1)), "".join(map(chr, letters)))
    return " ".join(words)


def prompt_for(row: NDArray[np.int64], rng: np.random.Generator) -> str:
    """Return one of the prompts that a scene may be drawn for.

    A terse prompt names either group, so that the model must make up the rest.
    """
    kind = rng.random()
    if kind < EMPTY_SHARE:
        return ""
    groups = 1 + (row[6] >= 0)
    brief = rng.random() < TERSE_SHARE
    caption = terse(row, int(rng.integers(groups))) if brief else verbose(row)
    return sloppy(caption, rng) if kind < EMPTY_SHARE + SLOPPY_SHARE else caption


def tokens(tokenizer: CLIPTokenizer, prompts: list[str]) -> torch.Tensor:
    """Return token ids (N, 32), padded and cut to the fixed length."""
    return tokenizer(
        prompts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt"
    ).input_ids


@dataclass
class Task:
    """What a step of training needs."""

    recipe: Recipe
    module: nn.ModuleDict
    tokenizer: CLIPTokenizer
    rows: Rows
    latents: torch.Tensor
    alphas: torch.Tensor

    def loss(self, step: int) -> torch.Tensor:
        """Return the mean squared error of the velocity on one batch."""
        rng = np.random.default_rng([self.recipe.seed, step])
        pick = rng.integers(len(self.rows), size=self.recipe.batch)
        ids = tokens(self.tokenizer, [prompt_for(self.rows[i], rng) for i in pick])
        # Stratified over the batch: the loss of one step then says more about all noise levels.
        u = (np.arange(len(pick)) + rng.random(len(pick))) / len(pick)
        # The layout is settled where there is most noise, so more of the steps go there.
        t = torch.from_numpy((u**0.75 * 1000).astype(np.int64))
        generator = torch.Generator().manual_seed(self.recipe.seed * 2**32 + step)
        x = self.latents[pick]
        noise = torch.randn(x.shape, generator=generator)
        a, s = (
            self.alphas[t].sqrt().view(-1, 1, 1, 1),
            (1 - self.alphas[t]).sqrt().view(-1, 1, 1, 1),
        )
        text = self.module["text"](ids).last_hidden_state
        velocity = self.module["unet"](a * x + s * noise, t, text).sample
        return nn.functional.mse_loss(velocity, a * noise - s * x)


def latents_of(recipe: Recipe, vae: AutoencoderKL, cache: Path) -> tuple[Rows, torch.Tensor]:
    """Return the training scenes and their scaled latents, from the cache where there is one."""
    rows = sample(np.random.default_rng([recipe.seed, 2**31]), recipe.scenes)
    if not cache.exists():
        torch.save((encode(vae, rows) * vae.config.scaling_factor).half(), cache)
    return rows, torch.load(cache, weights_only=True).float()


def pipeline(
    vae: AutoencoderKL, module: nn.ModuleDict, tokenizer: CLIPTokenizer
) -> StableDiffusionPipeline:
    """Return the parts as a pipeline."""
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=module["text"],
        tokenizer=tokenizer,
        unet=module["unet"],
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def train(recipe: Recipe, vae: AutoencoderKL, checkpoints: Path, out: Path) -> None:
    """Train or finish training one model; its folder is written at every checkpoint."""
    torch.manual_seed(recipe.seed)
    tokenizer = clip_tokenizer()

    def fresh() -> nn.ModuleDict:
        return nn.ModuleDict({"unet": build_unet(recipe.channels), "text": build_text(tokenizer)})

    module, shadow = fresh(), fresh()
    # At these lengths the fused attention's backward pass alone takes a third of a step on a CPU.
    module["unet"].set_attn_processor(AttnProcessor())
    teach(module["text"], tokenizer, checkpoints)
    rows, latents = latents_of(recipe, vae, checkpoints / f"{recipe.name}-latents.pt")
    task = Task(recipe, module, tokenizer, rows, latents, scheduler().alphas_cumprod)

    def save(state: dict[str, torch.Tensor]) -> None:
        shadow.load_state_dict(state)
        pipeline(vae, shadow, tokenizer).save_pretrained(out / recipe.name)

    fit(module, task.loss, recipe.schedule, checkpoints / f"{recipe.name}.pt", save)
