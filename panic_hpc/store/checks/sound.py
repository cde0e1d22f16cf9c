"""Whether tables of a dataset can be walked through: what exports ask before they begin.

Opening a dataset checks its header only, so that it costs nothing. What reads whole tables asks
this first: in a file that contradicts itself, offsets of 2**40 would be allocated.
"""

from panic_hpc.errors import ShardError
from panic_hpc.store.checks.file import known_problems
from panic_hpc.store.checks.tables import dataset_problems
from panic_hpc.store.format.reader import ArrayFile


def require_sound(file: ArrayFile) -> None:
    """Raise ShardError where tables of the dataset `file` contradict each other or the format.

    Reads columns of numbers, not texts, pictures or vectors, and compares no checksums of these.
    """
    for rule, sentence in known_problems(file):
        # F05: a reader ignores arrays that it does not know.
        if rule != "F05":
            _refuse(file, sentence)
    for _, sentence in dataset_problems(file):
        _refuse(file, sentence)


def _refuse(file: ArrayFile, sentence: str) -> None:
    raise ShardError(
        f"{file.path} is malformed: {sentence}",
        hint=f"Everything that is wrong with it: panic-hpc verify {file.path}",
    )
