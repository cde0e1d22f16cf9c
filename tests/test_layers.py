"""The direction of imports, one door a library, one meaning a name: DESIGN.md, sections 2 and 3."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Set
from functools import cache
from pathlib import Path

import pytest

Rule = Callable[[str], None]
PACKAGE = Path(__file__).parents[1] / "panic_hpc"

LAYERS = (
    (
        "errors",
        "exit_codes",
        "extras",
        "types",
        "clock",
        "keys",
        "paths",
        "memory",
        "versions",
        "closing",
        "plain_text",
        "installed",
        "disk",
    ),
    ("pictures",),
    ("models", "homology"),
    ("validation", "clusters", "experiment"),
    ("planning",),
    ("store",),
    ("merging", "upstream", "recorded"),
    ("stages",),
    ("workspace",),
    ("container",),
    ("worker",),
    ("backends",),
    ("health",),
    ("analysis",),
    ("voting",),
    ("report",),
    ("cli", "api", "search", "evolution", "__main__"),
)
STRANGERS = {
    "analysis": ("stages", "workspace", "worker", "backends", "models"),
    "voting": ("stages", "workspace", "worker", "backends", "models"),
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
    "av": ("report.video",),
    "pynvml": ("models.device.energy",),
    "jinja2": ("report.rendering",),
    "networkx": ("report.family_tree",),
    "optuna": ("search.sampling",),
    "tensorboardX": ("report.tensorboard",),
}
LAZY = set(DOORS) - {"h5py"}
SCALEWISE = ("bits", "checkpoint", "coder", "generation", "transformer")
GATED = (
    "store.dataset.torch_dataset",
    *(f"models.scalewise.{module}" for module in SCALEWISE),
)
"""Modules that subclass a class of a lazy library, and are themselves imported inside functions."""
MAX_LINES = 300
MAX_MODULES = 17


def _modules() -> dict[str, Path]:
    modules = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        modules[name.removesuffix(".__init__") if name != "__init__" else ""] = path
    return modules


MODULES = _modules()


def for_every_module(*, but: Set[str] = frozenset()) -> Callable[[Rule], Callable[[str], None]]:
    """Make a rule about modules a test a room: every process of `make test` collects all tests."""
    rooms: dict[str, list[str]] = {}
    for name in sorted(MODULES.keys() - but):
        rooms.setdefault(name.partition(".")[0], []).append(name)

    def test_of(rule: Rule) -> Callable[[str], None]:
        @pytest.mark.parametrize("room", rooms)
        def test(room: str) -> None:
            for name in rooms[room]:
                rule(name)

        test.__name__, test.__doc__ = rule.__name__, rule.__doc__
        return test

    return test_of


@cache
def _source(name: str) -> str:
    return MODULES[name].read_text()


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse(_source(name))


@cache
def _nodes(name: str) -> tuple[ast.AST, ...]:
    """Return all parts of a module: every rule looks at them, and to walk costs most."""
    return tuple(ast.walk(_tree(name)))


@pytest.fixture(scope="module", autouse=True)
def _forgotten_trees() -> Iterator[None]:
    """Drop what is kept of modules: the files of tests behind this one need the memory."""
    yield
    for kept in (_source, _tree, _nodes, _calls, _called, _names):
        kept.cache_clear()


def _imports(name: str, *, top_level_only: bool = False) -> Iterator[str]:
    """Yield the dotted names that a module imports, its TYPE_CHECKING blocks left out."""
    guarded = {
        id(node)
        for test in _nodes(name)
        if isinstance(test, ast.If) and "TYPE_CHECKING" in ast.unparse(test.test)
        for node in ast.walk(test)
    }
    nodes = _tree(name).body if top_level_only else _nodes(name)
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


@for_every_module(but={""})
def test_imports_go_one_way(name: str) -> None:
    for dotted in _imports(name):
        target = _own(dotted)
        if not target or target == name:
            continue
        assert _layer(target) <= _layer(name), f"{name} imports {target} of a later layer"
        for place, strangers in STRANGERS.items():
            if _within(name, place):
                assert not any(_within(target, s) for s in strangers), f"{name} imports {target}"


@for_every_module()
def test_every_library_has_one_door(name: str) -> None:
    for dotted in _imports(name):
        library = dotted.partition(".")[0]
        if library in DOORS:
            assert any(_within(name, door) for door in DOORS[library]), f"{name} imports {library}"


@for_every_module()
def test_heavy_libraries_are_imported_inside_functions(name: str) -> None:
    top = list(_imports(name, top_level_only=True))
    heavy = {dotted.partition(".")[0] for dotted in top} & LAZY
    assert not heavy or name in GATED, f"{name} imports {heavy} at its top"
    gated = {_own(dotted) for dotted in top} & set(GATED)
    assert not gated or name in GATED, f"{name} imports a gated module"


def test_there_are_no_import_cycles() -> None:
    graph = {
        name: {own for d in _imports(name, top_level_only=True) if (own := _own(d))} - {name}
        for name in MODULES
    }
    while leaves := {name for name, targets in graph.items() if not targets}:
        graph = {name: targets - leaves for name, targets in graph.items() if name not in leaves}
    assert not graph, f"cycle among {sorted(graph)}"


@for_every_module()
def test_modules_stay_readable(name: str) -> None:
    assert len(_source(name).splitlines()) <= MAX_LINES


def test_no_two_files_of_tests_share_a_name() -> None:
    # pytest imports them by that name: of two it runs one, and only where it collects both.
    names = Counter(path.name for path in Path(__file__).parent.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_two_public_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for name in MODULES:
        for node in _tree(name).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


@for_every_module(but={"installed"})
def test_only_installed_finds_plugins_by_name(name: str) -> None:
    for dotted in _imports(name):
        assert dotted not in ("pkgutil", "importlib.metadata.entry_points"), name
    text = _source(name)
    for finder in ("iter_modules(", "entry_points(", "walk_packages("):
        assert finder not in text, f"{name} looks for plugins by itself; ask panic_hpc.installed"


CLOCK_CALLS = {
    *(f"time.{name}" for name in ("time", "time_ns", "monotonic", "monotonic_ns", "sleep")),
    *(f"time.{name}" for name in ("perf_counter", "gmtime", "localtime", "strftime")),
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.fromtimestamp"),
}


@for_every_module(but={"clock"})
def test_the_time_is_asked_of_one_clock(name: str) -> None:
    assert not any(dotted.startswith("time.") for dotted in _imports(name)), name
    for node in _calls(name):
        called = ".".join(_called(node).split(".")[-2:])
        assert called not in CLOCK_CALLS, f"{name}:{node.lineno} asks {called}; ask panic_hpc.clock"


OS_WRITES = {
    *("replace", "rename", "renames", "link", "symlink", "mkdir", "makedirs", "mkfifo", "mknod"),
    *("fsync", "fdatasync", "write", "writev", "pwrite", "pwritev", "sendfile", "copy_file_range"),
    *("truncate", "ftruncate", "posix_fallocate", "utime", "chmod", "fchmod", "chown"),
    *("unlink", "remove", "removedirs", "rmdir"),
}
SHUTIL_WRITES = {"copy", "copy2", "copyfile", "copyfileobj", "copytree", "move", "rmtree"}
PATH_WRITES = {
    *("write_text", "write_bytes", "mkdir", "touch", "unlink", "rmdir", "rename", "chmod"),
    *("hardlink_to", "symlink_to", "symlink"),
}
# HDF5 makes its file itself, under a temporary's name that the door gave out.
FILES_OF_LIBRARIES = {"store.format.hdf5": "h5py.File"}
# Their writes go to other files than ours, to the terminal, or into a stream that the door opened.
NAMESAKES = {
    ("models.families.arithmetic", "write_text"),
    ("report.video", "av.open"),
    ("__main__", "os.write"),
    ("__main__", "os.open"),
    ("__main__", "open"),
}


@for_every_module(but={name for name in MODULES if _within(name, "disk")})
def test_files_are_written_through_one_door(name: str) -> None:
    assert "tempfile" not in {dotted.partition(".")[0] for dotted in _imports(name)}, name
    for node in _calls(name):
        what = _written_by(node)
        allowed = not what or (name, what) in NAMESAKES or FILES_OF_LIBRARIES.get(name) == what
        assert allowed, f"{name}:{node.lineno} calls {what}; panic_hpc/disk is the door for writing"


@cache
def _calls(name: str) -> tuple[ast.Call, ...]:
    return tuple(node for node in _nodes(name) if isinstance(node, ast.Call))


@cache
def _called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def _written_by(node: ast.Call) -> str:
    """Return the name of what a call writes a file with, "" where it writes none or is the door."""
    called = _called(node)
    holder, _, method = called.rpartition(".")
    if holder == "system":
        return ""
    if holder == "os":
        flags = ast.unparse(node) if method == "open" else ""
        writes = method in OS_WRITES or any(f"O_{way}" in flags for way in ("RDWR", "WRONLY", "CR"))
    elif holder == "shutil":
        writes = method in SHUTIL_WRITES
    elif method in ("open", "fdopen", "File"):
        writes = any(_is_write_mode(value) for value in _values(node))
    else:
        # Of a string, a date or a dataclass, `replace` takes another number of arguments.
        is_path_replace = bool(holder) and method == "replace" and len(_values(node)) == 1
        writes = method in PATH_WRITES or (is_path_replace and not node.keywords)
    return called if writes and holder else method if writes else ""


def _values(node: ast.Call) -> list[ast.expr]:
    return [*node.args, *(keyword.value for keyword in node.keywords)]


def _is_write_mode(node: ast.expr) -> bool:
    text = node.value if isinstance(node, ast.Constant) else ""
    return isinstance(text, str) and bool(re.fullmatch(r"[rbt]*[wax+][rwaxbt+]*", text))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("os.replace(a, b)", "os.replace"),
        ("os.open(path, os.O_WRONLY | os.O_CREAT)", "os.open"),
        ("path.open('ab')", "path.open"),
        ("open(path, mode='w')", "open"),
        ("path.with_name('x').write_bytes(b'')", "path.with_name('x').write_bytes"),
        ("here.replace(there)", "here.replace"),
        ("h5py.File(path, 'x')", "h5py.File"),
        ("os.open(path, os.O_RDONLY)", ""),
        ("path.open('rb')", ""),
        ("text.replace('a', 'b')", ""),
        ("replace(lease, token='')", ""),
        ("moment.replace(tzinfo=UTC)", ""),
    ],
)
def test_the_rule_for_writing_knows_a_write(line: str, what: str) -> None:
    node = ast.parse(line).body[0]
    assert isinstance(node, ast.Expr)
    assert isinstance(node.value, ast.Call)
    assert _written_by(node.value) == what


STAGE_WORDS = {"RUNS", "EMBEDDINGS", "DIAGRAMS", "MERGE"}
STAGE_ROOMS = (
    "stages.runs",
    "stages.embeddings",
    "stages.metrics",
    "stages.diagrams",
    "stages.merge",
)
# Tables of upstream's databases are called so too.
ASKING_ROOMS = (*STAGE_ROOMS, "store.results", "upstream")


@for_every_module()
def test_nothing_but_a_stage_and_its_results_asks_which_stage_it_is(name: str) -> None:
    if any(_within(name, room) for room in ASKING_ROOMS):
        return
    for node in _nodes(name):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            asked = {_word(part) for side in sides for part in _parts(side)} & STAGE_WORDS
            place = f"{name}:{node.lineno}"
            assert not asked, f"{place} compares with {asked}; let the stage or its results say it"


METRICS_ROOMS = ("panic_hpc.store.results.metrics", "panic_hpc.stages.metrics.stage")


def test_a_stage_that_came_later_is_named_by_its_rooms_and_its_reader_alone() -> None:
    """Metrics came when all of this stood: what it took elsewhere was to ask stages, not for it."""
    named = {
        name
        for name in MODULES
        for node in _nodes(name)
        if (isinstance(node, ast.Constant) and node.value == "metrics")
        or (isinstance(node, ast.ImportFrom) and node.module in METRICS_ROOMS)
    }
    elsewhere = {n for n in named if not _within(n, "stages.metrics")} - {"store.results.metrics"}
    assert elsewhere == {"store.dataset.frames"}


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
    # Of runs in planning, of a file's bytes in the others, of a matrix in homology.
    "block": ("planning", "disk", "store", "merging", "homology"),
}
# An image is what a container is made of in these rooms, and a picture everywhere else.
CONTAINER_ROOMS = ("container", "backends", "clusters", "worker")
UNITS_OF_TIME = {"s", "min", "h", "hours", "minutes", "seconds"}


@for_every_module()
def test_words_of_the_glossary_mean_what_it_says(name: str) -> None:
    words = {part for parts in _names(name) for part in parts}
    for word, rooms in RESERVED_WORDS.items():
        if word in words or f"{word}s" in words:
            assert any(_within(name, room) for room in rooms), f"{name} uses {word!r}: DESIGN.md, 2"


@for_every_module()
def test_a_deadline_is_a_moment_and_a_time_limit_a_duration(name: str) -> None:
    for words in _names(name):
        if "deadline" in words:
            assert not UNITS_OF_TIME & set(words), f"{name}: {words} is no moment"
        if "_time_limit" in "_" + "_".join(words):
            assert UNITS_OF_TIME & set(words), f"{name}: {words} is a duration without its unit"


@for_every_module(but={name for name in MODULES if not name.startswith(CONTAINER_ROOMS)})
def test_an_image_is_never_two_things_in_one_room(name: str) -> None:
    words = {part for parts in _names(name) for part in parts}
    assert not {"picture", "pictures", "pixels", "images"} & words, f"{name} speaks of pictures"


@for_every_module()
def test_a_public_function_says_what_it_takes(name: str) -> None:
    """`found` and `one` say nothing to a caller; but of a pair, `one` says."""
    for node in _nodes(name):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            taken = {argument.arg for argument in [*node.args.args, *node.args.kwonlyargs]}
            if taken & {"other", "two"}:
                taken.discard("one")
            assert not taken & {"found", "one"}, f"{name}.{node.name} takes {sorted(taken)}"


@cache
def _names(name: str) -> tuple[list[str], ...]:
    """Return the parts of each identifier that a module defines."""
    return tuple(words for node in _nodes(name) if (words := _words(node)))


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
    assert len(modules) <= MAX_MODULES, f"{folder} has {len(modules)} modules"


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
