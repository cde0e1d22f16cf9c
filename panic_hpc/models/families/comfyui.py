"""Models that are workflows of a ComfyUI server: text, seed and pictures go to nodes by title.

Answers are recorded and not repeatable; see the family `http`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from panic_hpc.models.base import Output, Turn
from panic_hpc.models.remote.comfy_jobs import ComfyJobs
from panic_hpc.models.remote.http_settings import Attempts, Seconds
from panic_hpc.models.remote.jobs import RemoteItem, ask_all
from panic_hpc.models.remote.launching import LaunchedServer
from panic_hpc.models.remote.server import Patience, Server, url_problem
from panic_hpc.models.remote.workflow import (
    PICTURE_INPUT,
    InputPlace,
    Nodes,
    Value,
    find_input,
    find_node,
    parse_workflow,
    value_problem,
    with_inputs_set,
)
from panic_hpc.models.settings import Label, Located, located, settings_of, wrong
from panic_hpc.pictures.given import given_pixels
from panic_hpc.types import IMAGE, TEXT, ModelEntry, ModelSpec

DEFAULT_URL = "http://127.0.0.1:8188"
START_S = 600.0
_ANY_TEXT, _ANY_SEED = "", 0


class ComfySettings(BaseModel):
    """A workflow, and what of an item goes where in it.

    workflow: in API form; of an experiment file the name of its file.
    text, seed: the inputs that get the item's, as "Title.input"; "" for none.
    image_node: the title of the node that loads the picture before in the run; "" for none.
    pictures: {title of a node that loads a picture: role of the prompt's, or "file:NAME"}, a
        picture beside the experiment's file, the same for all items.
    values: {input: value}; a list is a sweep.
    output: the title of the node whose picture is the output.
    server, launch: where the server is, or the name of one that the worker starts for itself.
    max_seed: seeds are taken modulo one more than this.
    attempts, timeout_s: how often a request is tried, and how long a job may take.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    workflow: str
    text: str = ""
    seed: str = ""
    image_node: str = ""
    pictures: Annotated[dict[str, str], Located()] = Field(default_factory=dict)
    values: dict[str, bool | int | float | str] = Field(default_factory=dict)
    output: str
    batch_size: int = Field(1, ge=1, le=64)
    max_seed: int = Field(2**63 - 1, ge=0, le=2**63 - 1)
    server: Annotated[str, Label()] = DEFAULT_URL
    launch: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]{0,31})?\z"), Label()] = ""
    attempts: Attempts = 5
    timeout_s: Seconds = 600.0

    @model_validator(mode="after")
    def _fits_its_workflow(self) -> "ComfySettings":
        try:
            nodes = parse_workflow(self.workflow)
            find_node(nodes, self.output)
            for node in self.loaders:
                find_input(nodes, f"{node}.{PICTURE_INPUT}")
        except ValueError as error:
            raise wrong(f"workflow: {error}") from error
        asked: list[tuple[str, Value]]
        asked = [(self.text, _ANY_TEXT), (self.seed, _ANY_SEED), *self.values.items()]
        problems = (value_problem(nodes, place, value) for place, value in asked if place)
        if problem := next(filter(None, (*problems, self._own_problem())), ""):
            raise wrong(problem)
        return self

    @property
    def loaders(self) -> Sequence[str]:
        """The nodes that load pictures."""
        return (*([self.image_node] if self.image_node else ()), *self.pictures)

    @property
    def roles(self) -> Mapping[str, str]:
        """The roles that nodes load, by the node's title."""
        return {node: name for node, name in self.pictures.items() if not _is_file(name)}

    def _own_problem(self) -> str:
        if not (self.text or self.image_node or self.roles):
            return "text, image_node or pictures: without one every item would be asked alike"
        if names := [name for name in self.roles.values() if ":" in name]:
            return f"pictures: {names[0]!r} is a role, or file:NAME in an experiment's file"
        problem = url_problem(self.server, is_keyed=False)
        return f"server: {problem}" if problem else ""


def _is_file(name: str) -> bool:
    """Say whether a picture is a file: by its digest, and where it is before it is planned."""
    return name.startswith("sha256:")


class ComfyModel:
    """A workflow of a server, as many of its jobs at a time as a batch has items."""

    wants_turn = True

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.settings = settings_of(spec, ComfySettings)
        self.versions: dict[str, str] = {}
        self.details: dict[str, Any] = {"repeatable": False}

    def load(self, device: str) -> None:
        """Find the server, or start it; RemoteError or ModelError where that fails."""
        own = self.settings
        url = own.server
        if own.launch:
            self._launched = LaunchedServer(self.spec.name, own.launch, START_S)
            url = self._launched.url
        server = Server(self.spec.name, Patience(own.attempts, own.timeout_s))
        self._jobs = ComfyJobs(server, url, own.timeout_s)
        self.versions = self._jobs.versions()
        self.details |= self.versions
        nodes = parse_workflow(own.workflow)
        self._files = {
            digest: given_pixels(located(self.spec, digest).read_bytes())
            for digest in own.pictures.values()
            if _is_file(digest)
        }
        values = {find_input(nodes, place): value for place, value in own.values.items()}
        self._nodes: Nodes = with_inputs_set(nodes, values)
        self._output = find_node(nodes, own.output)

    def generate(
        self, inputs: Sequence[Any], seeds: Sequence[int], turns: Sequence[Turn] | None = None
    ) -> list[Output]:
        """Return the workflow's picture for each item; RemoteError where the server fails."""
        return ask_all(self._ask, inputs, seeds, turns)

    def _ask(self, item: RemoteItem) -> Output:
        own = self.settings
        values: dict[InputPlace, Any] = {}
        if own.text:
            values[find_input(self._nodes, own.text)] = item.text()
        if own.seed:
            values[find_input(self._nodes, own.seed)] = item.seed % (own.max_seed + 1)
        if own.image_node:
            values[self._loader(own.image_node)] = self._jobs.upload(item.picture)
        for node, name in own.pictures.items():
            picture = self._files[name] if _is_file(name) else item.role(name)
            values[self._loader(node)] = self._jobs.upload(picture)
        return Output(self._jobs.picture(with_inputs_set(self._nodes, values), self._output))

    def _loader(self, title: str) -> InputPlace:
        return find_input(self._nodes, f"{title}.{PICTURE_INPUT}")


class ComfyFamily:
    """The family of workflows of ComfyUI."""

    name = "comfyui"
    settings = ComfySettings
    settings_decide = True
    has_weights = False
    repeatable = False
    entries: tuple[ModelEntry, ...] = ()

    def build(self, spec: ModelSpec) -> ComfyModel:
        """Return the model that `spec` names, its server not asked yet."""
        return ComfyModel(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return image and image where a node loads the picture before, else text and image."""
        return (IMAGE if settings.model_dump()["image_node"] else TEXT), IMAGE

    def reads_prompt(self, settings: BaseModel) -> bool:
        """Say whether an input gets the text."""
        return bool(settings.model_dump()["text"])

    def roles_read(self, settings: BaseModel) -> Mapping[str, str]:
        """Return the roles that nodes load, by the node's title."""
        roles = ComfySettings.model_validate(settings.model_dump()).roles
        return {f'pictures."{node}"': role for node, role in roles.items()}


PLUGINS = (ComfyFamily(),)
