"""A scale-wise picture transformer as a model: one seed an item, steered and listened to."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from panic_hpc.models.base import Output, Turn
from panic_hpc.models.steering.hearing import Heard
from panic_hpc.models.steering.layers import ModelLayers
from panic_hpc.models.steering.locations import Wiring
from panic_hpc.models.tokens import counter_of_tokenizer
from panic_hpc.models.torch_setup import quiet_loaders, torch_for
from panic_hpc.models.weights import find_weights
from panic_hpc.types import ModelSpec

WIRING = Wiring.model_validate(
    {
        "denoiser": "transformer",
        "timestep": "",
        "halves": "cond-first",
        "passes": "scales",
        "stacks": [{"under": "layers", "class": "ScaleLayer", "ca": "ca", "ffn": "ffn"}],
        "text": [{"part": "text_encoder", "class": "CLIPEncoderLayer"}],
    }
)
TRIAL_PROMPT = "a picture"


class ScalewiseModel:
    """A picture a prompt; the bits of each item are drawn by its own generator on the CPU.

    Batches have one shape, so that an item's bits do not depend on its neighbours. `settings` are
    those of families/autoregressive/scalewise.py.
    """

    def __init__(self, spec: ModelSpec, settings: Any) -> None:
        self.spec, self.settings = spec, settings
        self.details: dict[str, Any] = {}
        # Steering may depend on the iteration.
        self.wants_turn = settings.steering is not None

    def load(self, device: str) -> None:
        """Load the weights onto `device` and draw a picture; ModelError where that is no model."""
        self._torch = torch_for(device)
        quiet_loaders()
        from panic_hpc.models.scalewise.checkpoint import load_parts

        dtype = getattr(self._torch, self.settings.dtype)
        self._parts = load_parts(self.spec, find_weights(self.spec), dtype).to(device)
        self._begin()

    def adopt(self, other: "ScalewiseModel") -> None:
        """Take over the parts that `other` has loaded; raises as `load` does."""
        self._torch, self._parts = other._torch, other._parts
        self._begin()

    def _begin(self) -> None:
        config, tokenizer = self._parts.config, self._parts.tokenizer
        self._count = counter_of_tokenizer(tokenizer, tokenizer.model_max_length)
        self.details = {"model": config.model_class, "scales": list(config.scales)}
        self._pictures([TRIAL_PROMPT], [0])
        self._layers = ModelLayers(self.spec, self.settings.steering, self._parts, lambda: WIRING)

    def move(self, device: str) -> None:
        """Bring the weights to `device`, the host's memory ("cpu") included."""
        self._parts.to(device)

    def generate(
        self, inputs: Sequence[str], seeds: Sequence[int], turns: Sequence[Turn] | None = None
    ) -> list[Output]:
        """Return a picture for each prompt and seed; steered as in the iteration of the turns."""
        with self._layers.around(len(inputs), turns[0].iteration if turns else 0):
            pictures = self._pictures(inputs, seeds)
        counts = [self._count(prompt) for prompt in inputs]
        return [
            Output(picture, input_tokens=count.n_tokens, input_truncated=count.is_truncated)
            for picture, count in zip(pictures, counts, strict=True)
        ]

    def hearing(self, locations: Sequence[str]) -> AbstractContextManager[Heard]:
        """Listen to the calls inside a block; see `ModelLayers.hearing`."""
        return self._layers.hearing(locations)

    def _pictures(self, prompts: Sequence[str], seeds: Sequence[int]) -> Any:
        """Return (B, H, W, 3) uint8."""
        from panic_hpc.models.scalewise.generation import draw, joined

        parts, settings, torch = self._parts, self.settings, self._torch
        # A generator an item: one for the batch would make an item's bits depend on its slot.
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        with torch.inference_mode():
            text = parts.text_of(list(prompts))
            if settings.is_guided:
                text = joined(text, parts.text_of([settings.negative_prompt or ""] * len(prompts)))
            features = draw(
                parts.transformer,
                parts.quantiser,
                text,
                generators,
                settings.guidance,
                settings.temperature,
            )
            return parts.coder.decode(features).cpu().numpy()
