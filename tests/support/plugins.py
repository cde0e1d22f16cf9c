"""Throw-away plugin files: a model family written into a folder of its own, found and used."""

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from panic_hpc import installed

HONEST_FAMILY = '''
import numpy as np
from pydantic import BaseModel, ConfigDict
from panic_hpc.models.base import Output
from panic_hpc.types import EMBEDDING, IMAGE, TEXT, ModelEntry


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    batch_size: int = 4
    trouble: str = ""
    kind: str


class Painter:
    """Paints the text's bytes; trouble: a word it cannot paint."""

    def __init__(self, spec):
        self.spec = spec
        self.trouble = spec.settings["trouble"]

    def load(self, device):
        if self.trouble == "unloadable":
            raise OSError("no such file")

    def generate(self, inputs, seeds):
        if self.trouble and any(self.trouble in text for text in inputs):
            raise RuntimeError(f"cannot paint {self.trouble}")
        return [self.paint(text, seed) for text, seed in zip(inputs, seeds)]

    def paint(self, text, seed):
        pixels = np.zeros((4, 16, 3), np.uint8)
        content = np.frombuffer(text.encode()[:64], np.uint8)
        pixels[:, :, 0].flat[: len(content)] = content
        pixels[0, 0, 1] = seed % 251
        return Output(pixels, input_tokens=len(content))


class Namer:
    """Reads the bytes back, dropping the last letter: captions get shorter until they are empty."""

    def __init__(self, spec):
        self.spec = spec

    def load(self, device):
        pass

    def generate(self, inputs, seeds):
        return [self.name(pixels) for pixels in inputs]

    def name(self, pixels):
        content = bytes(pixels[:, :, 0].flat).rstrip(b"\\0")
        return Output(content[:-1].decode(), output_tokens=len(content) - 1)


class Lengths:
    """Embeds a text as its length; NaN for the word in trouble."""

    def __init__(self, spec):
        self.spec = spec
        self.trouble = spec.settings["trouble"]
        self.dimension = 2

    def load(self, device):
        pass

    def embed(self, inputs):
        rows = [[len(text), np.nan if text == self.trouble else 1.0] for text in inputs]
        return np.array(rows, np.float32), np.zeros(len(inputs), bool)


class Spelling:
    name = "spelling"
    settings = Settings
    entries = (
        ModelEntry("Painter", TEXT, IMAGE, defaults={"kind": "painter"}),
        ModelEntry("Namer", IMAGE, TEXT, defaults={"kind": "namer"}),
        ModelEntry("Lengths", TEXT, EMBEDDING, defaults={"kind": "lengths"}),
    )

    def build(self, spec):
        classes = {"painter": Painter, "namer": Namer, "lengths": Lengths}
        return classes[spec.settings["kind"]](spec)

    def modalities(self, settings):
        kinds = {"painter": (TEXT, IMAGE), "namer": (IMAGE, TEXT), "lengths": (TEXT, EMBEDDING)}
        return kinds[settings.kind]


PLUGINS = (Spelling(),)
'''


@contextmanager
def plugin_file(package: str, folder: Path, name: str, source: str) -> Iterator[None]:
    """Make `source` a module of `package` as if its file lay there, for the body's time."""
    path = folder.joinpath(*name.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent != folder:
        (path.parent / "__init__.py").touch()
    path.write_text(source)
    module = importlib.import_module(package)
    module.__path__.append(str(folder))
    importlib.invalidate_caches()
    installed.forget()
    try:
        yield
    finally:
        module.__path__.remove(str(folder))
        for loaded in [module for module in sys.modules if _is_within(module, package, name)]:
            del sys.modules[loaded]
        installed.forget()


@contextmanager
def package_beside(
    folder: Path, modules: Mapping[str, str], groups: Mapping[str, str]
) -> Iterator[None]:
    """Make `modules` another installed package, with {group of entry points: its module}."""
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)
    about = folder / "plugin_of_a_test-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin-of-a-test\nVersion: 1.0\n")
    lines = [f"[{group}]\nanything = {module}\n" for group, module in groups.items()]
    (about / "entry_points.txt").write_text("".join(lines))
    sys.path.append(str(folder))
    importlib.invalidate_caches()
    installed.forget()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in modules:
            sys.modules.pop(name, None)
        installed.forget()


def _is_within(module: str, package: str, name: str) -> bool:
    top = f"{package}.{name.partition('.')[0]}"
    return module == top or module.startswith(f"{top}.")
