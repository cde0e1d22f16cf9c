"""Checks of the file itself: that HDF5 and the header agree, and that the bytes are as declared."""

from collections.abc import Callable, Iterator

from panic_hpc.errors import ShardError
from panic_hpc.store.checks.sampling import Sample
from panic_hpc.store.checks.structure import type_problems
from panic_hpc.store.dataset.schema import dataset_column
from panic_hpc.store.format import hdf5
from panic_hpc.store.format.header import DATASET
from panic_hpc.store.format.netcdf import scale_places
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.store.results.base import Problem
from panic_hpc.store.results.section import unknown_stages


def hdf5_problems(file: ArrayFile) -> Iterator[Problem]:
    """Yield where HDF5 shows other readers something else than the header says."""
    wanted = {
        name: (entry.dtype, entry.shape, entry.offset if entry.nbytes else 0)
        for name, entry in file.entries.items()
    }
    for name, reason in hdf5.disagreements(file.path, wanted):
        yield "F04", f"{name}: {reason}"
    allowed = {*file.entries, hdf5.HEADER, hdf5.HEADER_SHA256, *_scales(file)}
    unknown = unknown_stages(file)
    for name in hdf5.strangers(file.path, allowed):
        # Of these a single finding is enough: see known_problems.
        if name.partition("/")[0] not in unknown:
            yield "F05", f"{name} is unknown to the format"


def _scales(file: ArrayFile) -> set[str]:
    if file.kind != DATASET:
        return set()
    columns = [dataset_column(name) for name in (*file.entries, hdf5.HEADER)]
    return {place for column in columns if column for place in scale_places(column)}


def known_problems(file: ArrayFile) -> Iterator[Problem]:
    """Yield arrays of a dataset that the format does not know, or knows with another type."""
    if file.kind != DATASET:
        return
    for stage in (unknown := unknown_stages(file)):
        yield "F05", f"it has results of stage {stage!r}, which nothing installed here declares"
    for name, entry in file.entries.items():
        column = dataset_column(name)
        if column is None and name.partition("/")[0] in unknown:
            continue
        if column is None:
            yield "F05", f"{name} is not an array of a dataset"
        else:
            yield from type_problems(column, entry.dtype, entry.shape)


def sum_problems(
    file: ArrayFile, sample: Sample, report: Callable[[int, int], None]
) -> Iterator[Problem]:
    """Yield arrays whose bytes are not those that their checksums were made of."""
    yield from _reference_problems(file, sample)
    total = sum(entry.nbytes for entry in file.entries.values())
    done = 0
    for name, entry in file.entries.items():
        covered = 0
        try:
            for place, length, expected in file.block_sums(name):
                # Where the sample says no, the lengths are added up all the same: they must cover
                # the array.
                if sample.takes("block", place) and file.sha256(place, length) != expected:
                    first = place - entry.offset
                    yield "F06", f"{name} has wrong bytes between {first} and {first + length}"
                covered += length
                done += length
                report(done, total)
        except (ShardError, ValueError) as error:
            yield "F06", f"{name} has no usable checksums ({error})"
            continue
        if covered != entry.nbytes:
            yield "F06", f"{name} has checksums for {covered} of {entry.nbytes} bytes"


def _reference_problems(file: ArrayFile, sample: Sample) -> Iterator[Problem]:
    """Yield blocks of pictures in other files that are not as the dataset says."""
    try:
        elsewhere = file.references
    except (ShardError, ValueError) as error:
        yield "F08", str(error)
        return
    if elsewhere is None:
        return
    told = set()
    for first, block in zip(*elsewhere.blocks, strict=True):
        # Once a file, and not for each of the thousand blocks of one that is away.
        if block[0] not in told and sample.takes("block", first):
            try:
                elsewhere.require(block)
            except ShardError as error:
                told.add(block[0])
                yield "F08", error.message
