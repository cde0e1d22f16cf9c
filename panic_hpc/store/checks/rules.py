"""The rules of the format: every MUST of docs/format.md by id."""

from dataclasses import dataclass
from typing import Any

from panic_hpc.errors import ShardError

CRITICAL = "critical"
VIOLATION = "violation"
SUGGESTION = "suggestion"
IMPORTANCES = (CRITICAL, VIOLATION, SUGGESTION)

REDO_SHARD = "Remove the file and submit the experiment again: panic-hpc submit EXP"
REDO_DATASET = "Remove the file and merge again: panic-hpc merge EXP"
REDO_REFERRED = (
    "Put the file back that it refers to, or merge again: panic-hpc merge EXP --images reference"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One MUST. Broken, `critical`: content is lost or false; `violation`: readers are misled."""

    id: str
    importance: str
    must: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that a file breaks, where in it, and the next command."""

    rule: str
    path: str
    message: str
    hint: str

    @property
    def importance(self) -> str:
        """How much it matters."""
        return BY_ID[self.rule].importance

    def to_json(self) -> dict[str, Any]:
        """Return the finding as a JSON value."""
        return {
            "rule": self.rule,
            "importance": self.importance,
            "path": self.path,
            "message": self.message,
            "hint": self.hint,
        }


RULES = (
    Rule("F01", CRITICAL, "The file is HDF5 and has a one-dimensional uint8 `header` and a scalar "
         "S64 `header_sha256`, both contiguous."),
    Rule("F02", CRITICAL, "`header` is JSON text whose SHA-256 is `header_sha256`; its `format` is "
         "panic_hpc, its major `version` 1, its `kind` shard or dataset."),
    Rule("F03", CRITICAL, "Every array lies inside the file and overlaps no other."),
    Rule("F04", VIOLATION, "HDF5 and the header agree on every array: a hard link to a contiguous, "
         "unfiltered dataset of this file with the header's dtype, shape and offset."),
    Rule("F05", SUGGESTION, "There is nothing in the file but the arrays of this document and "
         "their dimension scales."),
    Rule("F06", CRITICAL, "The bytes of every array have the SHA-256 that its blocks declare, and "
         "the blocks cover it."),
    Rule("F07", VIOLATION, "The rest of a dataset's file is as it was published: its SHA-256 is in "
         "the digest file beside it."),
    Rule("F08", CRITICAL, "What a dataset refers to is there, below its folder, with the "
         "SHA-256 of its blocks."),
    Rule("S01", VIOLATION, "Every required array is there, with the dtype and the rank of its "
         "column."),
    Rule("S02", VIOLATION, "Arrays that count one dimension have equally many rows."),
    Rule("S03", VIOLATION, "Offsets begin at 0, never descend, and end at the length of what they "
         "cut up."),
    Rule("S04", VIOLATION, "Row numbers point into their table; those of outputs ascend strictly."),
    Rule("S05", VIOLATION, "Invocations of a run have steps 0, 1, 2, …; embeddings and scores "
         "of a run have ascending steps."),
    Rule("S06", VIOLATION, "Codes are among those of their column."),
    Rule("S07", VIOLATION, "Run keys are 32 hex digits and occur once; runs are ordered by "
         "experiment, then index."),
    Rule("S08", VIOLATION, "The metadata are JSON as this document describes them, and so is the "
         "text of every shard."),
    Rule("D01", CRITICAL, "The digest of every run is that of its content; that of an incomplete "
         "diagram is empty."),
    Rule("D02", CRITICAL, "The content key in the header is that of the run keys and digests."),
    Rule("D03", CRITICAL, "Every image can be decoded: WebP, PNG or plain AVIF of 8-bit RGB, "
         "one frame, at most 8192² pixels."),
    Rule("D04", VIOLATION, "Every text is UTF-8, lone surrogates allowed."),
    Rule("M01", VIOLATION, "A shard is the one that its place in an experiment's directory says."),
    Rule("M02", VIOLATION, "A dataset of an experiment's directory has all runs of its manifest, "
         "or lists the shards that were missing."),
)  # fmt: skip
BY_ID = {rule.id: rule for rule in RULES}


class RefusedError(ShardError):
    """A file that the strict reader does not open, and the rule that it breaks."""

    def __init__(self, rule: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rule = rule
