"""An image→text checkpoint of transformers as a model: greedy, one question, one size of image."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from panic_hpc.errors import ModelError
from panic_hpc.models.base import Output
from panic_hpc.models.needs import needs_of_config, require_installed
from panic_hpc.models.tokens import written
from panic_hpc.models.torch_setup import quiet_loaders, torch_for
from panic_hpc.models.transformers_checkpoint import (
    load_complete,
    load_processor,
    require_vocabulary,
)
from panic_hpc.models.weights import Weights, find_weights
from panic_hpc.types import ModelSpec

CLEANED: Mapping[str, Callable[[Any, str], str]] = {
    # Its tags (<grounding>, <phrase>, places in the picture) are ordinary pieces of its vocabulary.
    "Kosmos2Processor": lambda processor, text: str(processor.post_process_generation(text)[0]),
}
"""How a caption is made of what was written, by class of processor; as it is for all others."""

CONTINUES_ITS_PROMPT = frozenset({"GitForCausalLM"})
"""Models that go on writing behind their prompt, which their processors close with an end token."""

DRAWS_TOO = frozenset({"JanusForConditionalGeneration"})
"""Models whose own generate is one for pictures, and hands no processor on to that for texts."""


class Captioner:
    """An image→text model without sampling: the generator's seed is the only randomness.

    All images have one size and all items one prompt, so the prompt's length is the same for
    every item; decoding ends where all items have ended, which changes no token before. `settings`
    are those of families/transformers_captioner.py.
    """

    def __init__(self, spec: ModelSpec, settings: Any) -> None:
        self.spec = spec
        self.settings = settings
        self.details: dict[str, Any] = {}

    def load(self, device: str) -> None:
        """Load processor and weights.

        Raises ModelError where weights, vocabulary or libraries are missing, or a setting does
        nothing on this model.
        """
        self._torch = torch_for(device)
        quiet_loaders()
        weights = find_weights(self.spec)
        require_installed(self.spec.name, needs_of_config(_config_of(weights)))
        self._processor = load_processor(weights, **self.settings.processor)
        require_vocabulary(self._processor.tokenizer, f"the tokenizer of {self.spec.name}")
        self._require_heard()
        model = self._loaded(weights)
        self._model = model.to(device).eval()
        self._device = device
        self._writer = _writer(model)
        self._generate = _generate(model)
        self._ends = _ends(self._writer.generation_config, self._processor.tokenizer)
        self._require_compilable()
        self._complete_generation_config()
        self.details = {
            "model": type(model).__name__,
            "processor": type(self._processor.whole).__name__,
            "image_processor": type(self._processor.image_processor).__name__,
            # What "default" came to on this machine: sdpa where torch has it, else eager, with
            # other bits.
            "attention": model.config._attn_implementation,
            # Penalties and forced tokens of the checkpoint act under greedy decoding too.
            "generation": _told(self._writer.generation_config),
        }

    def move(self, device: str) -> None:
        """Bring the weights to `device`, the host's memory ("cpu") included."""
        self._model.to(device)

    def generate(self, inputs: Sequence[Any], seeds: Sequence[int]) -> list[Output]:
        """Return a caption for each image; `seeds` decide nothing, since nothing is drawn."""
        features = self._features(inputs)
        prompt = _PromptLength()
        with self._torch.inference_mode():
            ids = self._generate(
                **features,
                # Many checkpoints ask for sampling or beams in their generation_config; without
                # either the image model's seed is the only randomness of a run.
                do_sample=False,
                num_beams=self.settings.num_beams,
                max_new_tokens=self.settings.max_new_tokens,
                logits_processor=[prompt],
                **({"cache_implementation": "static"} if self.settings.compile else {}),
            )
        return [self._output(row) for row in ids[:, prompt.length() :].tolist()]

    def answer(self, pixels: Any, question: str) -> Output:
        """Return the greedy answer to a question about one picture."""
        prompt = _PromptLength()
        ids = self._asked(pixels, question, self.settings.max_new_tokens, prompt).sequences
        return self._output(ids[0, prompt.length() :].tolist())

    def first_token_chances(self, pixels: Any, question: str) -> Any:
        """Return the probability of each token to come first in an answer: (V,) float64."""
        logits = self._asked(pixels, question, 1, _PromptLength()).logits[0][0]
        return self._torch.softmax(logits.double(), dim=-1).cpu().numpy()

    def _asked(self, pixels: Any, question: str, limit: int, prompt: "_PromptLength") -> Any:
        with self._torch.inference_mode():
            return self._generate(
                **self._features([pixels], question),
                do_sample=False,
                num_beams=1,
                max_new_tokens=limit,
                logits_processor=[prompt],
                # Before penalties and forced tokens: what the model itself holds for likely.
                output_logits=True,
                return_dict_in_generate=True,
            )

    def _loaded(self, weights: Weights) -> Any:
        # A superset of AutoModelForImageTextToText: Phi-4 is in this one only.
        from transformers import AutoModelForMultimodalLM

        self._dtype = getattr(self._torch, self.settings.dtype)
        attention = self.settings.attention
        chosen = {} if attention == "default" else {"attn_implementation": attention}
        return load_complete(AutoModelForMultimodalLM, weights, self.spec, self._dtype, **chosen)

    def _require_heard(self) -> None:
        """Raise ModelError where prompt or system go nowhere, or a chat model is asked nothing."""
        name, is_chat = self.spec.name, self._processor.is_chat
        if is_chat and not self.settings.prompt:
            hint = f'Set prompt = "Describe this image." in [models.{name}]'
            raise ModelError(f"{name} is a chat model and is asked nothing", hint=hint)
        unheard = [
            key
            for key, is_heard in (("prompt", self._processor.whole), ("system", is_chat))
            if getattr(self.settings, key) and not is_heard
        ]
        if unheard:
            raise ModelError(
                f"{name} cannot be told a {unheard[0]}: it has no way of reading one",
                hint=f"Remove it from [models.{name}]",
            )

    def _complete_generation_config(self) -> None:
        config = self._writer.generation_config
        # generate would choose one itself and log a line a call; rows that ended early are filled
        # with it.
        if config.pad_token_id is None:
            config.pad_token_id = next(iter(self._ends), None)
        # A checkpoint that asks for a static cache would compile by itself on a GPU.
        config.disable_compile = not self.settings.compile

    def _require_compilable(self) -> None:
        kind = type(self._writer)
        if self.settings.compile and not kind._can_compile_fullgraph:
            raise ModelError(
                f"{self.spec.name} cannot be compiled: {kind.__name__} has no cache of fixed "
                "length",
                hint=f"Remove compile from [models.{self.spec.name}]",
            )

    def _features(self, inputs: Sequence[Any], question: str = "") -> dict[str, Any]:
        images = [self._image(pixels) for pixels in inputs]
        prompt = question or self.settings.prompt
        told = self._processor(images, prompt, self.settings.system)
        features = dict(told.to(self._device))
        if type(self._model).__name__ in CONTINUES_ITS_PROMPT and "input_ids" in features:
            # Behind an end token nothing is left to say, and its generate knows no token types.
            features.pop("token_type_ids", None)
            for name in ("input_ids", "attention_mask"):
                features[name] = features[name][:, :-1]
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

    def _output(self, ids: list[int]) -> Output:
        count = written(ids, self._ends, self.settings.max_new_tokens)
        # The padding behind an early end is special too, so it goes with the end token.
        text = self._processor.tokenizer.decode(ids, skip_special_tokens=True).strip()
        clean = CLEANED.get(type(self._processor.whole).__name__)
        return Output(
            clean(self._processor.whole, text) if clean else text,
            output_tokens=count.n_tokens,
            output_truncated=count.is_truncated,
        )


class _PromptLength:
    """A logits processor that changes nothing, and notes what stood before the first token.

    What `generate` returns begins with it: a prompt, a start token, placeholders for the image or
    nothing, which neither classes nor arguments tell.
    """

    n_tokens = -1

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        if self.n_tokens < 0:
            self.n_tokens = input_ids.shape[1]
        return scores

    def length(self) -> int:
        """Return how many tokens stood there; ModelError where nobody asked."""
        if self.n_tokens < 0:
            raise ModelError("its class hands no logits processor on, so nobody knows its answers")
        return self.n_tokens


def _config_of(weights: Weights) -> dict[str, Any]:
    from transformers import PreTrainedConfig

    return dict(PreTrainedConfig.get_config_dict(weights.source, **weights.options)[0])


def _writer(model: Any) -> Any:
    """Return the part of a model whose generation_config is obeyed: often the whole."""
    from transformers import GenerationMixin

    if type(model).generate is GenerationMixin.generate:
        return model
    # BLIP, BLIP-2 and Kosmos-2 hand over to a language model with a configuration of its own.
    parts = (
        getattr(model, name, None) for name in ("language_model", "text_decoder", "text_model")
    )
    return next((part for part in parts if isinstance(part, GenerationMixin)), model)


def _generate(model: Any) -> Callable[..., Any]:
    """Return what writes texts with a model."""
    from transformers import GenerationMixin

    if type(model).__name__ not in DRAWS_TOO:
        return model.generate  # type: ignore[no-any-return]
    # Guidance in its generation_config is that of pictures.
    model.generation_config.guidance_scale = None
    return partial(GenerationMixin.generate, model)


def _told(config: Any) -> dict[str, Any]:
    """Return what a generation_config says beyond the library's defaults, as JSON values."""
    told = config.to_diff_dict().items()
    return {
        name: value
        for name, value in told
        if isinstance(value, bool | int | float | str | list)
        and not name.startswith(("_", "output_", "transformers_"))
    }


def _ends(config: Any, tokenizer: Any) -> tuple[int, ...]:
    """Return the tokens that end a caption, or fill up behind its end."""
    # An int or a list: chat models end a turn with one token and a text with another.
    own = config.eos_token_id
    several = own if isinstance(own, list | tuple) else (own,)
    known = (*several, tokenizer.eos_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id)
    return tuple(dict.fromkeys(token for token in known if token is not None))
