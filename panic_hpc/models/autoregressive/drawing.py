"""Janus of transformers as a text→image model: tokens of a picture one by one, one decode.

The language model reads the prompt, then writes the picture's tokens, each guided by what it would
have written without the prompt; the picture's autoencoder decodes all tokens at once. Tokens are
drawn by the Gumbel-max trick (Gumbel 1954): the largest of logits / temperature + noise, where the
noise of an item comes from its own generator on the CPU. So an item's tokens are those of its seed
on every card, whatever its neighbours are; the library's own draws come from one generator a batch.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from panic_hpc.errors import ModelError
from panic_hpc.models.autoregressive.chat_prompt import ChatPrompt
from panic_hpc.models.base import Output, Turn
from panic_hpc.models.steering.hearing import Heard
from panic_hpc.models.steering.layers import ModelLayers
from panic_hpc.models.steering.locations import Wiring
from panic_hpc.models.steering.outline import EmptyParts
from panic_hpc.models.steering.taps import modules_of
from panic_hpc.models.torch_setup import quiet_loaders, torch_for
from panic_hpc.models.transformers_checkpoint import load_complete
from panic_hpc.models.weights import find_weights
from panic_hpc.types import ModelSpec

KIND = "JanusForConditionalGeneration"
WIRING = Wiring.model_validate(
    {
        "denoiser": "language_model",
        "timestep": "",
        "halves": "cond-first",
        "text_halves": "cond-first",
        "passes": "tokens",
        # One stack of layers: `text` while they read the prompt, the others while they draw.
        "stacks": [{"under": "layers", "class": "LlamaDecoderLayer", "ffn": "mlp"}],
        "text": [{"part": "language_model", "class": "LlamaDecoderLayer"}],
    }
)


class TokenClock:
    """Tells passes of a picture of tokens: as many ranges of equal length, as near as can be.

    The first call reads the prompt, and gives the first token; each further one reads a token that
    was drawn, and gives the next.
    """

    def __init__(self, n_tokens: int, n_passes: int) -> None:
        self.passed, self.call = -1, 0
        self._n_calls, self._n_passes = n_tokens - 1, n_passes

    def tick(self, moment: float) -> None:
        """Take note of a call of the language model, by its number."""
        self.passed = (int(moment) - 1) * self._n_passes // self._n_calls if moment else -1


class JanusModel:
    """Text→image with Janus; a picture's size is the checkpoint's.

    `settings` are those of families/autoregressive/janus.py. A picture that is not finite,
    or was drawn of logits that were not, is the failure of its item.
    """

    def __init__(self, spec: ModelSpec, settings: Any) -> None:
        self.spec = spec
        self.settings = settings
        self.details: dict[str, Any] = {}
        # Steering may depend on the iteration.
        self.wants_turn = settings.steering is not None

    def load(self, device: str) -> None:
        """Load weights and tokenizer; ModelError where one of them lacks something."""
        from transformers import AutoProcessor, JanusForConditionalGeneration

        self._torch = torch_for(device)
        quiet_loaders()
        weights = find_weights(self.spec)
        dtype = getattr(self._torch, self.settings.dtype)
        model = load_complete(JanusForConditionalGeneration, weights, self.spec, dtype)
        self._model, self._device = model.to(device).eval(), device
        processor = AutoProcessor.from_pretrained(weights.source, **weights.options)
        self._prompts = ChatPrompt(processor, self.settings.max_sequence_length, self.spec.name)
        self._complete_generation_config(processor.tokenizer)
        self._set_up()

    def adopt(self, other: "JanusModel") -> None:
        """Take over the weights that `other` has loaded; raises as `load` does."""
        self._torch, self._model, self._device = other._torch, other._model, other._device
        self._prompts = other._prompts
        self._set_up()

    def move(self, device: str) -> None:
        """Bring the weights to `device`, the host's memory ("cpu") included."""
        self._model.to(device)
        self._device = device

    def generate(
        self, inputs: Sequence[str], seeds: Sequence[int], turns: Sequence[Turn] | None = None
    ) -> list[Output]:
        """Return a picture for each prompt and seed; steered as in the iteration of the turns."""
        read = self._prompts.read(inputs)
        draw = _Draw(self._torch, seeds, self.settings.guidance, self.settings.temperature)
        with (
            self._torch.inference_mode(),
            self._layers.around(len(inputs), turns[0].iteration if turns else 0),
        ):
            tokens = self._model.generate(
                self._tensor(read.ids),
                attention_mask=self._tensor(read.mask),
                generation_mode="image",
                # Greedy, without the library's guidance: both are in the processor.
                do_sample=False,
                guidance_scale=1.0,
                logits_processor=[draw],
            )
            values = self._model.decode_image_tokens(tokens).float()
            finite = draw.finite & self._torch.isfinite(values).flatten(1).all(1)
        return [
            Output(
                picture,
                input_tokens=count.n_tokens,
                input_truncated=count.is_truncated,
                problem="" if is_finite else f"{self.spec.name} gave a picture that is not finite",
            )
            for picture, count, is_finite in zip(
                self._pixels(values), read.counts, finite.tolist(), strict=True
            )
        ]

    def hearing(self, locations: Sequence[str]) -> AbstractContextManager[Heard]:
        """Listen to the calls inside a block; see `ModelLayers.hearing`."""
        return self._layers.hearing(locations)

    def _set_up(self) -> None:
        n_tokens = n_tokens_of(self._model.config)
        _require_passes(self.spec.name, self.settings.passes, n_tokens)
        self._layers = ModelLayers(
            self.spec,
            self.settings.steering,
            self._model.model,
            lambda: WIRING,
            lambda: TokenClock(n_tokens, self.settings.passes),
        )
        self.details = {
            "model": KIND,
            "attention": self._model.config._attn_implementation,
            "tokens": n_tokens,
        }

    def _complete_generation_config(self, tokenizer: Any) -> None:
        config = self._model.generation_config
        config.bos_token_id = tokenizer.bos_token_id
        config.pad_token_id = tokenizer.pad_token_id
        # What unconditional rows keep of a prompt: its start, and the start of the picture.
        config.generation_kwargs = {"boi_token_id": self._prompts.begin_of_image}

    def _tensor(self, rows: Sequence[Sequence[int]]) -> Any:
        return self._torch.tensor(rows, device=self._device)

    def _pixels(self, values: Any) -> Any:
        """Return uint8 of the autoencoder's (B, H, W, 3), which go from -1 to 1."""
        pixels = ((values + 1) * 127.5).round().clamp(0, 255).to(self._torch.uint8)
        return pixels.contiguous().cpu().numpy()


class _Draw:
    """A logits processor after which the largest logit is a draw: guidance, temperature, noise.

    `finite` says for each item whether all of its logits were finite.
    """

    def __init__(
        self, torch: Any, seeds: Sequence[int], guidance: float, temperature: float
    ) -> None:
        self._torch = torch
        # A generator an item, on the CPU: one for the batch would couple its items.
        self._generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        self._guidance, self._temperature = guidance, temperature
        self.finite: Any = True

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Return (B, V) of the (2 B, V) logits: conditional rows first."""
        torch = self._torch
        cond, uncond = scores.float().chunk(2)
        guided = uncond + self._guidance * (cond - uncond)
        self.finite = self.finite & torch.isfinite(guided).all(-1)
        size = guided.shape[-1]
        # -log of an exponential variable is a Gumbel variable.
        noise = -torch.stack(
            [torch.empty(size).exponential_(generator=one) for one in self._generators]
        ).log()
        return guided / self._temperature + noise.to(guided.device)


def n_tokens_of(config: Any) -> int:
    """Return how many tokens a picture has."""
    return int(config.vision_config.num_image_tokens)


def _require_passes(name: str, n_passes: int, n_tokens: int) -> None:
    if n_passes > n_tokens - 1:
        raise ModelError(
            f"{name} cannot tell {n_passes} passes apart: of a picture's {n_tokens} tokens it "
            f"reads {n_tokens - 1} back",
            hint=f"Set passes = {n_tokens - 1} or less in [models.{name}]",
        )


def empty_janus(spec: ModelSpec, n_passes: int) -> EmptyParts:
    """Return what steering may know of a checkpoint; no weight of it is read."""
    import torch
    from transformers import AutoConfig, AutoModel

    weights = find_weights(spec)
    config = AutoConfig.from_pretrained(weights.source, **weights.options)
    _require_passes(spec.name, n_passes, n_tokens_of(config))
    with torch.device("meta"):
        language_model = AutoModel.from_config(config.text_config)
    return EmptyParts(KIND, WIRING, modules_of({"language_model": language_model}), n_passes)
