"""One array of a file as the format describes it, and what all kinds of results share.

An array is named `group/column`. Its first axis counts one dimension (`run`, `invocation`, …);
`offsets` columns have one row more than what they cut up. Columns marked `scientific` are what a
run's digest covers: no times, no hosts, and nothing that depends on where a run stands in a file.
Which arrays a stage's shards hold is declared in `store/results`, one file a kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from panic_hpc.types import IMAGE, TEXT

FORMAT = "panic_hpc"
FORMAT_MAJOR = 1
FORMAT_MINOR = 0

# These numbers, like all codes of the format, are in published files: they never change, new ones
# are added.
MODALITIES = {TEXT: 0, IMAGE: 1, "audio": 2, "video": 3}
OUTPUT_GROUPS = {TEXT: "texts", IMAGE: "images", "audio": "sounds", "video": "films"}
REQUIRED_OUTPUTS = (TEXT, IMAGE)


@dataclass(frozen=True, slots=True)
class Column:
    """One array of a shard or dataset.

    Attributes:
        name: Its name in the file, `group/column`.
        dtype: numpy's name of what is stored, with its byte order.
        rows: The dimension that its first axis counts.
        meaning: What it holds, in a phrase for people.
        unit: Unit of its values; "" for a plain count or none.
        trailing: Sizes of its other axes, or their names where the size is a setting's.
        index: The table or dimension whose rows the values point to; merge moves them along.
        edges: Whether it cuts up `index`: one row more than `rows`, from 0 upward.
        scientific: Whether a run's digest covers it.
        codes: Words for the values; bits that combine where the dtype is <u2.
        home: Group of a dataset, with its slash, that the scales of its axes lie in; "" for the
            root. Axes that count runs are everybody's.
    """

    name: str
    dtype: str
    rows: str
    meaning: str
    unit: str = ""
    trailing: tuple[str | int, ...] = ()
    index: str = ""
    edges: bool = False
    scientific: bool = False
    codes: Mapping[str, int] = field(default_factory=dict)
    home: str = ""

    @property
    def group(self) -> str:
        """The part of the name before the slash."""
        return self.name.partition("/")[0]

    @property
    def axes(self) -> tuple[str, ...]:
        """The name of each axis; that of an offsets column is one longer than what it cuts up."""
        first = f"{self.rows}_edge" if self.edges else self.rows
        return (first, *("birth_death" if axis == 2 else str(axis) for axis in self.trailing))


def ragged_columns(
    group: str, item: str, meaning: str, *, scientific: bool = False
) -> tuple[Column, Column]:
    """Return the two columns of byte strings, one for each `item`: where each begins, and bytes."""
    byte = f"{item}_byte"
    return (
        Column(
            f"{group}/offsets", "<i8", item, f"where each {item} begins in values; one more row",
            "byte", index=byte, edges=True, scientific=scientific,
        ),
        Column(f"{group}/values", "|u1", byte, meaning, scientific=scientific),
    )  # fmt: skip
