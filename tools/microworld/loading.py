"""The shipped models as plain functions, loaded by the ordinary loaders only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

Images = NDArray[np.uint8]
BATCH = 8


def painter(folder: Path, steps: int, guidance: float) -> Callable[[list[str], list[int]], Images]:
    """Return a function from prompts and seeds to pictures (N, 32, 32, 3)."""
    from diffusers import DiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)

    def paint(prompts: list[str], seeds: list[int]) -> Images:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        images = pipe(
            prompts, num_inference_steps=steps, guidance_scale=guidance, generator=generators
        ).images
        return np.stack([np.asarray(image) for image in images])

    return lambda prompts, seeds: np.concatenate(
        [paint(prompts[i : i + BATCH], seeds[i : i + BATCH]) for i in range(0, len(prompts), BATCH)]
    )


def scale_painter(folder: Path) -> Callable[[list[str], list[int]], Images]:
    """Return a function from prompts and seeds to a scale-wise model's pictures."""
    from panic_hpc.models.folder_digest import folder_digest
    from panic_hpc.models.loading import load
    from panic_hpc.types import ModelSpec

    # No library loads it but the package itself.
    digest = folder_digest(folder)
    model = load(
        ModelSpec(folder.name, "scalewise", "text", "image", "", digest, str(folder), BATCH, {}),
        "cpu",
    )

    def paint(prompts: list[str], seeds: list[int]) -> Images:
        more = BATCH - len(prompts)
        made = model.generate([*prompts, *[""] * more], [*seeds, *[0] * more])
        return np.stack([one.value for one in made[: len(prompts)]])

    return lambda prompts, seeds: np.concatenate(
        [paint(prompts[i : i + BATCH], seeds[i : i + BATCH]) for i in range(0, len(prompts), BATCH)]
    )


def captioner(folder: Path) -> Callable[[Images], list[str]]:
    """Return a function from pictures to captions, greedy."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.no_grad()
    def caption(images: Images) -> list[str]:
        inputs = processor(images=[Image.fromarray(image) for image in images], return_tensors="pt")
        ids = model.generate(
            pixel_values=inputs["pixel_values"], do_sample=False, max_new_tokens=32
        )
        return [text.strip() for text in processor.batch_decode(ids, skip_special_tokens=True)]

    return lambda images: [
        text for i in range(0, len(images), BATCH) for text in caption(images[i : i + BATCH])
    ]


def embedder(folder: Path) -> Callable[[list[str] | Images], NDArray[np.float32]]:
    """Return a function from texts or pictures to vectors (N, D)."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")

    def embed(items: list[str] | Images) -> NDArray[np.float32]:
        inputs = items if isinstance(items, list) else [Image.fromarray(image) for image in items]
        return np.asarray(model.encode(inputs, batch_size=BATCH))

    return embed
