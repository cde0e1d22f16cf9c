"""The contract of results: what one stage's files hold, declared once and read by everything.

Digests, checks, merge, dataset and exports know no stage by name. They ask its `ResultKind`, which
lies in `store/results/<stage>.py` or in another package's module under the entry-point group
`panic_hpc.results`, and ends in `PLUGINS = (...)`. For a stage that gives each run one number:

    PLUGINS = (
        ResultKind(
            stage="lengths",
            columns=(*IDENTITY, Column("runs/longest", "<i4", "run", "…", scientific=True)),
            per_model=False,
        ),
    )
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from panic_hpc import installed
from panic_hpc.errors import PanicError
from panic_hpc.store.format.column import Column
from panic_hpc.store.results.rows import ONE, Counted, RowCount
from panic_hpc.types import RUNS

if TYPE_CHECKING:
    from panic_hpc.store.results.section import Section

Problem = tuple[str, str]
"""Id of a rule (`store/checks/rules.py`) that is broken, and a sentence."""
Check = Callable[["Section"], Iterator[Problem]]

INDEX = Column("runs/index", "<i8", "run", "place of the run in its experiment")
KEY = Column("runs/key", "S32", "run", "content key of the run, 32 hex digits")
DIGEST = Column(
    "runs/digest",
    "S64",
    "run",
    "SHA-256 of the run's scientific columns, hex; empty where a diagram is incomplete",
)
IDENTITY = (INDEX, KEY, DIGEST)
"""What every shard must have: which runs it is about, and their digests."""

TRANSLATED = ("network", "prompt", "model")
"""Tables of a manifest that values may point to; merge turns them into rows of the dataset's."""

_RESERVED = ("members", "prompts", "pictures", "shards", "checksums", "metadata", "header",
             "invocations", "texts", "images", "sounds", "films", "failures", "merge")  # fmt: skip
_STAGE = re.compile(r"[a-z][a-z0-9_]{0,15}")


@dataclass(frozen=True, slots=True)
class ExportTable:
    """One Parquet table made of a kind's arrays.

    Attributes:
        name: Name of its file.
        rows: The dimension that its rows count.
        columns: Arrays with a row each, by their names in a shard, in order.
        spread: Names for what lies along the second axis of an array: one for each place, or one
            with `{}` for the number of the place. Other arrays with more axes become lists.
        texts: Columns of text, and the group whose text of the row they hold.
        names: What the places along the axis of each array in `spread` are called, where files say
            it themselves; other models' places become columns too, empty for this one.
        place: Where rows lie in items of which a run has several (bars in diagrams): name of a
            column that tells which of the run's items, from 0.
    """

    name: str
    rows: str
    columns: tuple[str, ...]
    spread: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    names: "Callable[[Section], tuple[str, ...]] | None" = None
    place: str = ""


# By identity: kinds are made once, and what is cached of them is cached with them.
@dataclass(frozen=True, eq=False)
class ResultKind:
    """What one stage's shards hold, and what becomes of it in a dataset.

    Attributes:
        stage: The stage that makes such shards.
        columns: The arrays that a shard must have, IDENTITY among them, in the order in which
            digests take them.
        optional: Arrays that it may have.
        per_model: Whether there is a shard for each embedding model: `<stage>/<model>/…` in a
            dataset, else `<stage>/…`.
        rows_per_run: By dimension how its rows are dealt out to runs, where columns of offsets do
            not say so already.
        dataset_offsets: By dimension the name of a column of offsets, a run's first row each, that
            merge adds; of dimensions that are Counted.
        may_stay: Arrays whose bytes may stay in the shards, with a dataset that refers to them.
        undigested: By column the code of runs that have no digest: what was stopped by time or
            memory differs between machines, so that no content key may cover it.
        fill: By column what a run has that no shard has; else nan, 0 or empty.
        must_agree: Settings of experiments, as dotted paths, that no key covers: shards made with
            different ones do not go into one dataset.
        checks: Rules beyond those that follow from the columns.
        exports: Parquet tables; without any, one of numbers and codes for each dimension.

    Raises:
        PanicError: The declaration contradicts itself.
    """

    stage: str
    columns: tuple[Column, ...]
    optional: tuple[Column, ...] = ()
    per_model: bool = True
    rows_per_run: Mapping[str, RowCount] = field(default_factory=dict)
    dataset_offsets: Mapping[str, str] = field(default_factory=dict)
    may_stay: tuple[str, ...] = ()
    undigested: Mapping[str, int] = field(default_factory=dict)
    fill: Mapping[str, Any] = field(default_factory=dict)
    must_agree: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    exports: tuple[ExportTable, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a declaration that would fail only when its files are written or merged."""
        if found := "; ".join(_contradictions(self)):
            raise PanicError(f"The results of stage {self.stage!r} are declared wrongly: {found}")

    @property
    def name(self) -> str:
        """What it is found by: its stage's name."""
        return self.stage

    @property
    def defines_runs(self) -> bool:
        """Whether these are the runs, to which all other kinds add: a dataset's rows are theirs."""
        return self.stage == RUNS

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        """All columns that a shard may have, by name."""
        return MappingProxyType({c.name: c for c in (*self.columns, *self.optional)})

    @cached_property
    def required(self) -> frozenset[str]:
        """Names of the columns that a shard must have."""
        return frozenset(column.name for column in self.columns)

    def label(self, model_key: str = "") -> str:
        """Return what content keys call these results: `runs`, or `embeddings:<model key>`."""
        return part_label(self.stage, model_key)

    def home(self, model: str) -> str:
        """Return the group of a dataset, with its slash, that holds the arrays; "" for the root."""
        if self.defines_runs:
            return ""
        return f"{self.stage}/{model}/" if self.per_model else f"{self.stage}/"

    def dataset_name(self, model: str, name: str) -> str:
        """Return the name in a dataset of the array `name` of a shard, "" where it has none."""
        if self.defines_runs:
            return name
        # The dataset's own runs have them.
        if name in (INDEX.name, KEY.name):
            return ""
        group, _, column = name.partition("/")
        return self.home(model) + (column if group in ("runs", self.stage) else name)

    def dataset_columns(self, model: str) -> Iterator[tuple[str, Column]]:
        """Yield (name in a shard, column of the dataset) of what merge takes over from shards."""
        for name, column in self.by_name.items():
            if renamed := self.dataset_name(model, name):
                yield name, replace(column, name=renamed, home=self.home(model))

    def added_columns(self, model: str) -> tuple[Column, ...]:
        """Return the columns of the dataset that merge adds beside those of the shards."""
        home = self.home(model)
        group = home or f"{self.stage}/"
        offsets = tuple(
            Column(
                f"{group}{name}", "<i8", "run", f"row of its first {dimension}; one more row",
                index=dimension, edges=True, home=home,
            )
            for dimension, name in self.dataset_offsets.items()
        )  # fmt: skip
        shard = Column(
            f"{group}shard", "<i4", "run", "row of the shard it was taken from", index="shard",
            home=home,
        )  # fmt: skip
        if self.defines_runs:
            origin = "row of the experiment it was taken from"
            return (*offsets, Column(f"{group}experiment", "<i4", "run", origin), shard)
        return (replace(shard, meaning=f"{shard.meaning}, -1: missing"), *offsets)


def part_label(stage: str, model_key: str) -> str:
    """Return what content keys call a stage's part, known here or not."""
    return f"{stage}:{model_key}" if model_key else stage


def kind_of(stage: str) -> ResultKind:
    """Return what shards of a stage hold; PanicError where nothing installed declares it."""
    found: ResultKind = installed.plugin("results", stage)
    return found


def all_kinds() -> Mapping[str, ResultKind]:
    """Return all kinds of results installed, by stage."""
    return installed.plugins("results")


def runs_kind() -> ResultKind:
    """Return the kind that defines the runs."""
    return kind_of(RUNS)


def _contradictions(kind: ResultKind) -> Iterator[str]:
    """Yield what is wrong with a declaration."""
    if not _STAGE.fullmatch(kind.stage) or kind.stage in _RESERVED:
        yield f"{kind.stage!r} is no name of a stage (16 letters, or taken by the format)"
    names = Counter(column.name for column in (*kind.columns, *kind.optional))
    yield from (f"{name} is declared twice" for name, count in names.items() if count > 1)
    lacking = [column.name for column in IDENTITY if column not in kind.columns]
    yield from (f"{name} is missing (columns begin with *IDENTITY)" for name in lacking)
    if kind.defines_runs and kind.per_model:
        yield "runs are no embedding model's"
    yield from _unknown_dimensions(kind)
    for what in (kind.undigested, kind.fill):
        yield from (f"{name} is not one of its columns" for name in what if name not in names)
    yield from _wrong_exports(kind)
    in_dataset = Counter(
        column.name
        for column in (*(c for _, c in kind.dataset_columns("m")), *kind.added_columns("m"))
    )
    yield from (f"a dataset would have {n} twice" for n, count in in_dataset.items() if count > 1)


def _wrong_exports(kind: ResultKind) -> Iterator[str]:
    for table in kind.exports:
        if table.name in ("runs", "invocations"):
            yield f"the exported table {table.name} is the dataset's own"
        for name in table.columns:
            if name not in kind.by_name or kind.by_name[name].rows != table.rows:
                yield f"{name} has no rows of the exported table {table.name}"
        for group in table.texts.values():
            offsets = kind.by_name.get(f"{group}/offsets")
            if offsets is None or _once_a_run(kind, offsets.rows) != table.rows:
                yield f"the exported table {table.name} has no text {group} a row"
        cutting = [c for c in kind.columns if c.edges and c.index == table.rows]
        if table.place and len(cutting) != 1:
            yield f"nothing cuts up the rows of the exported table {table.name}"


def _once_a_run(kind: ResultKind, dimension: str) -> str:
    """Return "run" for a dimension of one row a run, else the dimension."""
    return "run" if kind.rows_per_run.get(dimension) is ONE else dimension


def _unknown_dimensions(kind: ResultKind) -> Iterator[str]:
    columns = kind.by_name
    known = {"run", *kind.rows_per_run, *(c.index for c in columns.values() if c.edges)}
    for column in columns.values():
        if column.rows not in known:
            yield f"rows_per_run does not say how many rows a run has in {column.name}"
        if column.index and column.index not in {*known, *TRANSLATED}:
            yield f"{column.name} points to {column.index}, of which nothing is known"
        if column.index in TRANSLATED and column.scientific:
            yield f"{column.name} depends on its experiment, so that no digest may cover it"
        if column.index == "model":
            is_counted = isinstance(kind.rows_per_run.get(column.rows), Counted)
            if "runs/network" not in columns or not is_counted:
                yield f"{column.name} points to models: of runs/network, in Counted rows"
    for count in kind.rows_per_run.values():
        if count.column and count.column not in columns:
            yield f"{count.column} is not one of its columns"
    for dimension in kind.dataset_offsets:
        if not isinstance(kind.rows_per_run.get(dimension), Counted):
            yield f"dataset_offsets need a column that counts the rows of {dimension}"
