"""The direction of imports, one door a library, one meaning a name: DESIGN.md, sections 2 and 3."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "panic_hpc"

LAYERS = (
    (
        "errors",
        "exit_codes",
        "extras",
        "types",
        "keys",
        "paths",
        "memory",
        "versions",
        "closing",
        "installed",
        "disk",
    ),
    ("models", "homology"),
    ("validation", "clusters", "experiment"),
    ("planning",),
    ("store",),
    ("merging", "upstream"),
    ("stages",),
    ("workspace",),
    ("container",),
    ("worker",),
    ("backends",),
    ("health",),
    ("analysis",),
    ("report",),
    ("cli", "api", "__main__"),
)
STRANGERS = {
    "analysis": ("stages", "workspace", "worker", "backends", "models"),
    "report": ("stages", "workspace", "worker", "backends", "models"),
}
DOORS = {
    "h5py": ("store",),
    "torch": ("models", "store.dataset.torch_dataset"),
    "diffusers": ("models",),
    "transformers": ("models",),
    "sentence_transformers": ("models",),
    "huggingface_hub": ("models.hub.client",),
    "gph": ("homology",),
    "gudhi": ("homology",),
    "mpi4py": ("merging",),
    "submitit": ("backends.slurm.sbatch", "backends.local.pool"),
    "matplotlib": ("report",),
}
LAZY = set(DOORS) - {"h5py"}
GATED = ("store.dataset.torch_dataset",)
"""Modules that subclass a class of a lazy library, and are themselves imported inside functions."""
MAX_LINES = 300
MAX_MODULES = 17
MAX_VERBS = 30


def _modules() -> dict[str, Path]:
    modules = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        modules[name.removesuffix(".__init__") if name != "__init__" else ""] = path
    return modules


MODULES = _modules()


def _imports(name: str, *, top_level_only: bool = False) -> Iterator[str]:
    """Yield the dotted names that a module imports, its TYPE_CHECKING blocks left out."""
    tree = ast.parse(MODULES[name].read_text())
    guarded = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and "TYPE_CHECKING" in ast.unparse(test.test)
        for node in ast.walk(test)
    }
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _within(name: str, place: str) -> bool:
    return name == place or name.startswith(place + ".")


def _layer(name: str) -> int:
    """Return the layer whose longest place holds `name`."""
    found = [
        (len(place), level)
        for level, places in enumerate(LAYERS)
        for place in places
        if _within(name, place)
    ]
    assert found, f"{name} has no layer: add it to LAYERS in the order of DESIGN.md, section 3"
    return max(found)[1]


def _own(dotted: str) -> str | None:
    """Return the module of this package that `dotted` means, None for other libraries."""
    if not _within(dotted, "panic_hpc"):
        return None
    name = dotted.removeprefix("panic_hpc").removeprefix(".")
    while name not in MODULES:
        name = name.rpartition(".")[0]
    return name


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_imports_go_one_way(name: str) -> None:
    for dotted in _imports(name):
        target = _own(dotted)
        if not target or target == name:
            continue
        assert _layer(target) <= _layer(name), f"{name} imports {target} of a later layer"
        for place, strangers in STRANGERS.items():
            if _within(name, place):
                assert not any(_within(target, s) for s in strangers), f"{name} imports {target}"


@pytest.mark.parametrize("name", MODULES)
def test_every_library_has_one_door(name: str) -> None:
    for dotted in _imports(name):
        library = dotted.partition(".")[0]
        if library in DOORS:
            assert any(_within(name, door) for door in DOORS[library]), f"{name} imports {library}"


@pytest.mark.parametrize("name", MODULES)
def test_heavy_libraries_are_imported_inside_functions(name: str) -> None:
    top = list(_imports(name, top_level_only=True))
    heavy = {dotted.partition(".")[0] for dotted in top} & LAZY
    assert not heavy or name in GATED, f"{name} imports {heavy} at its top"
    assert not {_own(dotted) for dotted in top} & set(GATED), f"{name} imports a gated module"


def test_there_are_no_import_cycles() -> None:
    graph = {
        name: {own for d in _imports(name, top_level_only=True) if (own := _own(d))} - {name}
        for name in MODULES
    }
    while leaves := {name for name, targets in graph.items() if not targets}:
        graph = {name: targets - leaves for name, targets in graph.items() if name not in leaves}
    assert not graph, f"cycle among {sorted(graph)}"


@pytest.mark.parametrize("name", MODULES)
def test_modules_stay_readable(name: str) -> None:
    assert len(MODULES[name].read_text().splitlines()) <= MAX_LINES


def test_no_two_files_of_tests_share_a_name() -> None:
    # pytest imports them by that name: of two it runs one, and only where it collects both.
    names = Counter(path.name for path in Path(__file__).parent.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_two_public_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for name, path in MODULES.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"installed"}))
def test_only_installed_finds_plugins_by_name(name: str) -> None:
    for dotted in _imports(name):
        assert dotted not in ("pkgutil", "importlib.metadata.entry_points"), name
    text = MODULES[name].read_text()
    for finder in ("iter_modules(", "entry_points(", "walk_packages("):
        assert finder not in text, f"{name} looks for plugins by itself; ask panic_hpc.installed"


STAGE_WORDS = {"RUNS", "EMBEDDINGS", "DIAGRAMS", "MERGE"}
STAGE_ROOMS = ("stages.runs", "stages.embeddings", "stages.diagrams", "stages.merge")
# Tables of upstream's databases are called so too.
ASKING_ROOMS = (*STAGE_ROOMS, "store.results", "upstream")


@pytest.mark.parametrize("name", sorted(MODULES))
def test_nothing_but_a_stage_and_its_results_asks_which_stage_it_is(name: str) -> None:
    if any(_within(name, room) for room in ASKING_ROOMS):
        return
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            asked = {_word(part) for side in sides for part in _parts(side)} & STAGE_WORDS
            place = f"{name}:{node.lineno}"
            assert not asked, f"{place} compares with {asked}; let the stage or its results say it"


def _parts(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]


def _word(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return str(node.value).upper() if isinstance(node, ast.Constant) else ""


# Words of DESIGN.md, section 2, that mean one thing: parts of names, and where these may stand.
RESERVED_WORDS = {
    "chunk": ("store.format", "store.exports"),
    "element": ("homology", "models"),
    "claim": (),
}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_words_of_the_glossary_mean_what_it_says(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text())
    words = {part for node in ast.walk(tree) for part in _words(node)}
    for word, rooms in RESERVED_WORDS.items():
        if word in words or f"{word}s" in words:
            assert any(_within(name, room) for room in rooms), f"{name} uses {word!r}: DESIGN.md, 2"


def _words(node: ast.AST) -> list[str]:
    """Return the parts of the identifiers that a node defines."""
    match node:
        case ast.FunctionDef(name=named) | ast.ClassDef(name=named) | ast.arg(arg=named):
            pass
        case ast.Name(id=named, ctx=ast.Store()):
            pass
        case _:
            return []
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", named).lower().split("_")


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES.values()}))
def test_a_folder_is_small_enough_to_know(folder: Path) -> None:
    modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
    # One verb a file, and as many verbs as there are.
    limit = MAX_VERBS if folder.name == "cli" else MAX_MODULES
    assert len(modules) <= limit, f"{folder} has {len(modules)} modules"


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "--help"], ["status", "--help"]])
def test_the_command_line_starts_without_heavy_libraries(arguments: list[str]) -> None:
    code = (
        "import sys, panic_hpc.cli as cli\n"
        f"sys.argv = ['panic-hpc', *{arguments!r}]\n"
        "try:\n    cli.main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'matplotlib', 'polars', 'gudhi'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
