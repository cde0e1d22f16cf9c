"""Whether a dataset holds all that it was to hold, from its header alone."""

from pathlib import Path

from panic_hpc.errors import ShardError


def dataset_problem(path: Path) -> str:
    """Return why a dataset must be made anew, "" where it is whole or not there."""
    if not path.exists():
        return ""
    # Here, so that h5py is not loaded for the many experiments that have no dataset yet.
    from panic_hpc.store.dataset.dataset import open_dataset

    try:
        with open_dataset(path) as dataset:
            lacking = int(dataset.file.header["n_missing"])
    except ShardError as error:
        return f"the dataset cannot be read: {error.message}"
    return f"the dataset there lacks {lacking} shards" if lacking else ""
