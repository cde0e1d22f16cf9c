"""Any image→text checkpoint of transformers, by repository and revision or by folder."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from panic_hpc.errors import ModelError
from panic_hpc.models import builtin
from panic_hpc.models.base import Output
from panic_hpc.models.settings import settings_of
from panic_hpc.models.tokens import written
from panic_hpc.models.torch_setup import Dtype, quiet_loaders, torch_for
from panic_hpc.models.transformers_checkpoint import load_complete, load_processor
from panic_hpc.models.weights import find_weights
from panic_hpc.types import IMAGE, TEXT, ModelSpec


class CaptionerSettings(BaseModel):
    """What a captioner may be told.

    `prompt` is what a model is asked about each image, "" for models that are not asked;
    `image_side` resizes images to a square before the model's own processor.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: int = Field(1, ge=1, le=1024)
    dtype: Dtype = "float32"
    # Too few for long answers, but what is cut is flagged. Upstream found 18 to 90 % of some
    # models' captions cut at 100 to 128 tokens.
    max_new_tokens: int = Field(128, ge=1, le=8192)
    prompt: str = ""
    image_side: int | None = Field(None, ge=8, le=8192, description="pixels")
    # Which SDPA kernel runs depends on the mask, so it is part of what decides the bits.
    attention: Literal["default", "sdpa", "eager"] = "default"


class Captioner:
    """An image→text model that decodes greedily: the generator's seed is the only randomness.

    All images have one size and all items one prompt, so the prompt's length is the same for
    every item; decoding ends where all items have ended, which changes no token before.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.settings = settings_of(spec, CaptionerSettings)
        self.details: dict[str, Any] = {}

    def load(self, device: str) -> None:
        """Load processor and weights; ModelError where weights are missing in the checkpoint."""
        self._torch = torch_for(device)
        from transformers import AutoModelForImageTextToText

        quiet_loaders()
        weights = find_weights(self.spec)
        self._processor = load_processor(weights)
        if self._processor.is_chat and not self.settings.prompt:
            name = self.spec.name
            hint = f'Set prompt = "Describe this image." in [models.{name}]'
            raise ModelError(f"{name} is a chat model and is asked nothing", hint=hint)
        dtype = getattr(self._torch, self.settings.dtype)
        attention = self.settings.attention
        chosen = {} if attention == "default" else {"attn_implementation": attention}
        model = load_complete(AutoModelForImageTextToText, weights, self.spec, dtype, **chosen)
        self._model = model.to(device).eval()
        self._device, self._dtype = device, dtype
        self._ends = _ends(self._model.generation_config, self._processor.tokenizer)
        # generate would choose one itself and log a line a call; rows that ended early are filled
        # with it.
        if self._model.generation_config.pad_token_id is None:
            self._model.generation_config.pad_token_id = next(iter(self._ends), None)
        self.details = {
            "model": type(model).__name__,
            "processor": type(self._processor.whole).__name__,
            "image_processor": type(self._processor.image_processor).__name__,
            # What "default" came to on this machine: sdpa where torch has it, else eager, with
            # other bits.
            "attention": model.config._attn_implementation,
        }

    def move(self, device: str) -> None:
        """Bring the weights to `device`, the host's memory ("cpu") included."""
        self._model.to(device)

    def generate(self, inputs: Sequence[Any], seeds: Sequence[int]) -> list[Output]:
        """Return a caption for each image; `seeds` decide nothing, since decoding is greedy."""
        features = self._features(inputs)
        with self._torch.inference_mode():
            ids = self._model.generate(
                **features,
                # Many checkpoints ask for sampling or beams in their generation_config; greedy
                # leaves the image model's seed as the only randomness of a run.
                do_sample=False,
                num_beams=1,
                max_new_tokens=self.settings.max_new_tokens,
            )
        return [self._output(row) for row in self._without_prompt(ids, features).tolist()]

    def _features(self, inputs: Sequence[Any]) -> dict[str, Any]:
        images = [self._image(pixels) for pixels in inputs]
        features = self._processor(images, self.settings.prompt).to(self._device)
        return {
            # Processors give float32 pixels; token ids must stay integers.
            name: value.to(self._dtype) if value.is_floating_point() else value
            for name, value in features.items()
        }

    def _image(self, pixels: Any) -> Any:
        from PIL import Image

        image = Image.fromarray(pixels)
        side = self.settings.image_side
        return image.resize((side, side), Image.Resampling.BICUBIC) if side else image

    def _without_prompt(self, ids: Any, features: dict[str, Any]) -> Any:
        """Return only what was written: some models repeat the prompt, others do not."""
        prompt = features.get("input_ids")
        if prompt is None or ids.shape[1] < prompt.shape[1]:
            return ids
        # Decoder-only models return prompt and answer in one row, encoder-decoders the answer only;
        # the class does not tell which.
        repeated = self._torch.equal(ids[:, : prompt.shape[1]], prompt)
        return ids[:, prompt.shape[1] :] if repeated else ids

    def _output(self, ids: list[int]) -> Output:
        # Without a prompt the row begins with a start token that max_new_tokens does not count.
        start = 1 if ids and ids[0] == self._start() else 0
        count = written(ids[start:], self._ends, self.settings.max_new_tokens)
        # The padding behind an early end is special too, so it goes with the end token.
        text = self._processor.tokenizer.decode(ids, skip_special_tokens=True).strip()
        return Output(text, output_tokens=count.n_tokens, output_truncated=count.is_truncated)

    def _start(self) -> int | None:
        """Return the token that models without a prompt begin with; it is not written by them."""
        config = self._model.generation_config
        return next(
            (t for t in (config.decoder_start_token_id, config.bos_token_id) if t is not None), None
        )


def _ends(config: Any, tokenizer: Any) -> tuple[int, ...]:
    """Return the tokens that end a caption, or fill up behind its end."""
    # An int or a list: chat models end a turn with one token and a text with another.
    own = config.eos_token_id
    several = own if isinstance(own, list | tuple) else (own,)
    known = (*several, tokenizer.eos_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id)
    return tuple(dict.fromkeys(token for token in known if token is not None))


class TransformersCaptioner:
    """The family of image→text checkpoints."""

    name = "transformers"
    settings = CaptionerSettings
    entries = builtin.entries("captioner", CaptionerSettings.model_fields)

    def build(self, spec: ModelSpec) -> Captioner:
        """Return the captioner that `spec` names, not loaded yet."""
        return Captioner(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return image and text."""
        return IMAGE, TEXT


PLUGINS = (TransformersCaptioner(),)
