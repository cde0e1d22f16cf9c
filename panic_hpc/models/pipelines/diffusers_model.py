"""A text→image pipeline of diffusers as a model: one seed an item, nothing ignored in silence."""

import inspect
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from panic_hpc.errors import ModelError
from panic_hpc.models.base import Output, Turn
from panic_hpc.models.needs import require_installed
from panic_hpc.models.pipelines.classes import pipeline_class, prepare
from panic_hpc.models.pipelines.compiling import compilable_parts, compile_parts
from panic_hpc.models.pipelines.parts import (
    load_pipeline,
    open_folder,
    tokenizers_of,
    unchecked,
)
from panic_hpc.models.pipelines.prompt_tokens import PromptListener, read_limit
from panic_hpc.models.pipelines.trial import Tried, decoded_sizes, idle, require_size
from panic_hpc.models.steering.hearing import Heard
from panic_hpc.models.steering.layers import ModelLayers
from panic_hpc.models.steering.locations import wiring_of
from panic_hpc.models.torch_setup import quiet_loaders, torch_for
from panic_hpc.models.weights import find_weights
from panic_hpc.types import ModelSpec

ARGUMENTS = {
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "true_cfg": "true_cfg_scale",
    "height": "height",
    "width": "width",
    "negative_prompt": "negative_prompt",
    "max_sequence_length": "max_sequence_length",
}
"""Settings, and what pipelines call them."""

TRIAL_PROMPT = "a picture"
TRIAL_STEPS = 2
_OURS = frozenset(
    {"prompt", "generator", "output_type", "image", "mask_image", "strength", *ARGUMENTS.values()}
)


class DiffusersModel:
    """A text→image pipeline; the noise of each item comes from its own generator on the CPU.

    Drawn on the CPU, the noise is the same on every card. A picture that is not finite, or that a
    safety checker has blackened, is the failure of its item and no picture. `settings` are those
    of families/diffusers.py.
    """

    arguments: Mapping[str, str] = ARGUMENTS
    wants_turn = False

    def __init__(self, spec: ModelSpec, settings: Any) -> None:
        self.spec = spec
        self.settings = settings
        self.details: dict[str, Any] = {}
        # Steering may depend on the iteration.
        self.wants_turn = self.wants_turn or settings.steering is not None

    def load(self, device: str) -> None:
        """Load the pipeline onto `device` and try it.

        Raises ModelError where it is no text→image pipeline, lacks weights, couples the items of a
        batch, does not know a setting or ignores it, or gives another size than asked for.
        """
        self._torch = torch_for(device)
        quiet_loaders()
        variant = self.settings.variant
        folder = open_folder(self.spec, find_weights(self.spec))
        called = self._called(folder.kind)
        self._kind, self._stored_kind = called.__name__, folder.kind.__name__
        require_installed(self.spec.name, pipeline_class(self._stored_kind).needs)
        self._require_alone()
        self._arguments = self._checked_arguments(called)
        dtype = getattr(self._torch, self.settings.dtype)
        given = {} if self.settings.safety_checker else unchecked(self.spec.name, folder.kind)
        # The whole pipeline stays on the device: cpu offload re-hooks every component after each
        # call, costs a quarter of FLUX's time and grows in RAM (diffusers#7970).
        pipeline = load_pipeline(self.spec, folder, dtype, variant, **given)
        self._pipeline = self._as_called(pipeline, called).to(device)
        self._pipeline.set_progress_bar_config(disable=True)
        prepare(self._pipeline)
        self._listener = PromptListener(
            tokenizers_of(self._pipeline), read_limit(self._pipeline, self._arguments)
        )
        self._tried = Tried()
        self._try()
        self._layers = self._layers_of_pipeline()
        if self.settings.compile:
            self._compile(device)

    def adopt(self, other: "DiffusersModel") -> None:
        """Take over the pipeline that `other` has loaded; raises as `load` does."""
        self._torch, self._kind, self._pipeline = other._torch, other._kind, other._pipeline
        self._stored_kind = other._stored_kind
        self._require_alone()
        self._arguments = self._checked_arguments(type(self._pipeline))
        # The tokenizers have been given ears once; they tell this model from now on.
        self._listener = other._listener
        self._listener.read_limit = read_limit(self._pipeline, self._arguments)
        self._tried = other._tried
        self._try()
        self._layers = self._layers_of_pipeline()

    def move(self, device: str) -> None:
        """Bring the weights to `device`, the host's memory ("cpu") included."""
        self._pipeline.to(device)

    def generate(
        self, inputs: Sequence[str], seeds: Sequence[int], turns: Sequence[Turn] | None = None
    ) -> list[Output]:
        """Return a picture for each prompt and seed; steered as in the iteration of the turns."""
        return self._outputs(inputs, seeds, {}, turns[0].iteration if turns else 0)

    def hearing(self, locations: Sequence[str]) -> AbstractContextManager[Heard]:
        """Listen to the calls inside a block; see `ModelLayers.hearing`."""
        return self._layers.hearing(locations)

    def _layers_of_pipeline(self) -> ModelLayers:
        wiring = partial(wiring_of, self._stored_kind, self.spec.name)
        return ModelLayers(self.spec, self.settings.steering, self._pipeline, wiring)

    def _called(self, kind: type[Any]) -> type[Any]:
        """Return the class whose call is made, for the one that is stored."""
        return kind

    def _as_called(self, pipeline: Any, called: type[Any]) -> Any:
        """Return the pipeline as one of the class whose call is made."""
        return pipeline

    def _beside(self, n_items: int) -> dict[str, Any]:
        """Return what calls of a trial have beside prompts and arguments."""
        return {}

    def _outputs(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        beside: Mapping[str, Any],
        iteration: int = 0,
    ) -> list[Output]:
        with self._listener.listening(), self._layers.around(len(prompts), iteration):
            made = self._call(prompts, seeds, self._arguments, beside)
            pictures, problems = self._pictures(*made)
        counts = self._listener.counts(prompts)
        return [
            Output(
                picture,
                input_tokens=count.n_tokens,
                input_truncated=count.is_truncated,
                problem=problem,
            )
            for picture, problem, count in zip(pictures, problems, counts, strict=True)
        ]

    def _call(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        arguments: Mapping[str, Any],
        beside: Mapping[str, Any],
    ) -> tuple[Any, Any]:
        """Return (B, 3, H, W) in [0, 1] on the device, and which of them a checker blackened."""
        # A generator an item: one for the whole batch would make an item's noise depend on its
        # slot. Schedulers that draw at each step are given the same list.
        generators = [self._torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        each = {
            # Some pipelines take one negative prompt for a batch, others refuse it beside a list of
            # prompts; a list is taken by all.
            name: [value] * len(prompts) if name == "negative_prompt" else value
            for name, value in arguments.items()
        }
        with self._torch.inference_mode():
            # "pt" and not "pil": uint8 is made on the device, and a quarter of the bytes cross the
            # bus.
            result = self._pipeline(
                prompt=list(prompts), generator=generators, output_type="pt", **each, **beside
            )
        # The first field, which most classes call images and Kandinsky's image.
        blackened = getattr(result, "nsfw_content_detected", None) or [False] * len(prompts)
        return result[0].reshape(len(prompts), *result[0].shape[-3:]), blackened

    def _pictures(self, images: Any, blackened: Sequence[bool]) -> tuple[Any, list[str]]:
        """Return (B, H, W, 3) uint8, rounded as diffusers does, and what is wrong with each."""
        torch = self._torch
        with torch.inference_mode():
            # Rounding in bfloat16 would leave 8 bits of mantissa for 256 values.
            images = images.float()
            finite = torch.isfinite(images).flatten(1).all(dim=1).tolist()
            # clamp after round: VAEs overshoot [0, 1], and a cast to uint8 would wrap round.
            pixels = (images * 255).round().clamp(0, 255).to(torch.uint8)
            pictures = pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return pictures, [
            self._problem(*pair) for pair in zip(finite, map(bool, blackened), strict=True)
        ]

    def _problem(self, is_finite: bool, is_blackened: bool) -> str:
        if is_blackened:
            return f"The safety checker of {self.spec.name} blackened the picture"
        return "" if is_finite else f"{self.spec.name} gave a picture that is not finite"

    def _require_alone(self) -> None:
        reason = pipeline_class(self._stored_kind).coupled
        if reason and self.spec.batch_size > 1:
            raise ModelError(
                f"{self.spec.name} is a {self._kind}, whose items depend on their neighbours in "
                f"a batch: it {reason}",
                hint=f"Set batch_size = 1 in [models.{self.spec.name}]",
            )

    def _checked_arguments(self, kind: type[Any]) -> dict[str, Any]:
        """Return the arguments of every call; ModelError for a setting that it does not take."""
        # Looked up in the signature since pipelines swallow unknown arguments or raise deep inside
        # a call, after minutes of loading.
        accepted = inspect.signature(kind.__call__).parameters
        wanted = {key: getattr(self.settings, key) for key in self.arguments}
        given = {key: value for key, value in wanted.items() if value is not None}
        own = dict(self.settings.arguments)
        unknown = [key for key in given if self.arguments[key] not in accepted]
        unknown += [f"arguments.{key}" for key in own if key not in accepted or key in _OURS]
        if unknown:
            raise ModelError(
                f"{self.spec.name} is a {self._kind}, which knows no {', '.join(unknown)}",
                hint=f"Remove it from [models.{self.spec.name}]",
            )
        return own | {self.arguments[key]: value for key, value in given.items()}

    def _compile(self, device: str) -> None:
        """Compile what takes the time; on a CPU only look whether there is something."""
        name = self.spec.name
        if device == "cpu":
            compilable_parts(name, self._pipeline)
            return
        self.details["compiled"] = compile_parts(name, self._pipeline, self._torch)
        # In the shape of every call: what cannot be compiled is told now, not at the first run.
        size = self.spec.batch_size
        few = self._few(self._arguments)
        self._call([TRIAL_PROMPT] * size, [0] * size, few, self._beside(size))

    def _try(self) -> None:
        """Draw a picture, and more where a setting may be idle; ModelError for what is wrong.

        What a model of the same weights has shown is not drawn again.
        """
        scheduler = getattr(self._pipeline, "scheduler", None)
        self.details = {"pipeline": self._kind, "scheduler": type(scheduler).__name__}
        asked = self._asked(self._arguments)
        if not self._tried.is_sound(asked):
            self._tried.note(asked, self._sound_picture())
            self._tried.found_sound(asked)
        names = {argument: setting for setting, argument in self.arguments.items()}
        ignored = idle(
            lambda arguments: self._tried.digest(
                self._asked(arguments), lambda: self._trial(arguments)[0]
            ),
            self._arguments,
            lambda name: self._tried.matters(name, asked),
        )
        if ignored:
            found = ", ".join(names[argument] for argument in ignored)
            raise ModelError(
                f"{self.spec.name} is a {self._kind}, on which {found} has no effect as it is set "
                "up",
                hint=f"Remove it from [models.{self.spec.name}], or set what it depends on "
                "(guidance or true_cfg above 1)",
            )

    def _sound_picture(self) -> Any:
        """Return a picture of the model's own arguments, with nothing wrong but what is idle."""
        with decoded_sizes(self._pipeline) as sizes:
            images, blackened = self._trial(self._arguments)
        _, (problem,) = self._pictures(images, blackened)
        if problem:
            raise ModelError(
                f"{problem}, asked for {TRIAL_PROMPT!r}",
                hint=f"See dtype, variant and safety_checker in [models.{self.spec.name}]",
            )
        given = (images.shape[-2], images.shape[-1])
        decoded = sizes[-1] if sizes else None
        require_size(self.spec.name, self._kind, self._arguments, given, decoded)
        return images

    def _asked(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return what decides a trial's picture: what it is told, sizes of what it is given."""
        given = {name: list(value.shape) for name, value in self._beside(1).items()}
        return {**self._few(arguments), "given": given}

    def _trial(self, arguments: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return one picture of few steps, and whether a checker blackened it."""
        return self._call([TRIAL_PROMPT], [0], self._few(arguments), self._beside(1))

    def _few(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        steps = arguments.get("num_inference_steps", TRIAL_STEPS)
        return {**arguments, "num_inference_steps": min(steps, TRIAL_STEPS)}
