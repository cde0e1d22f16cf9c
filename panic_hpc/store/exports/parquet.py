"""A dataset's tables as Parquet files."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from panic_hpc.disk.directories import make_any_directory
from panic_hpc.disk.overwriting import admit, admit_directory
from panic_hpc.disk.publish import replacing
from panic_hpc.errors import PanicError
from panic_hpc.store.checks.sound import require_sound
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.exports.kind_tables import kind_tables
from panic_hpc.store.exports.tables import invocation_tables, run_tables

if TYPE_CHECKING:
    import pyarrow as pa


def export_parquet(dataset: Dataset, directory: Path, *, force: bool = False) -> list[Path]:
    """Write runs, invocations and the tables of every other kind of result; return the files.

    Units and the content key travel in the files' metadata. PanicError where pyarrow is missing,
    or a file is there already and `force` is not given.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise PanicError(
            "Parquet needs pyarrow", hint="pip install 'panic-hpc[analysis]'"
        ) from error
    require_sound(dataset.file)
    tables = {
        "runs": run_tables(dataset),
        "invocations": invocation_tables(dataset),
        **kind_tables(dataset),
    }
    places = {name: directory / f"{name}.parquet" for name in tables}
    # All before the first is written: five files of one dataset, or none. Other files may be there.
    admit_directory(directory, [dataset.path], force=True)
    for path in places.values():
        admit(path, [dataset.path], force=force)
    make_any_directory(directory)
    paths = []
    for name, batches in tables.items():
        # At most one turn, for _write takes the rest.
        for first in batches:
            # Again, for writing takes long: another export may have begun, of another dataset.
            admit(places[name], [dataset.path], force=force)
            _write(places[name], first, batches, dataset.content_key)
            paths.append(places[name])
    return paths


def _write(path: Path, first: "pa.Table", rest: "Iterator[pa.Table]", key: str) -> None:
    """Write a first table and all that follow it as one file."""
    import pyarrow.parquet as pq

    schema = first.schema.with_metadata({"panic_hpc_content_key": key})
    with replacing(path) as stream, pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for table in chain((first,), rest):
            writer.write_table(table.cast(schema))
