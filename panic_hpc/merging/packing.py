"""Making a dataset whole: pictures that it refers to are copied out of their shards into it."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from os.path import samefile
from pathlib import Path

from panic_hpc.disk.blocks import writing
from panic_hpc.disk.copying import copy_range
from panic_hpc.disk.publish import temporary_file
from panic_hpc.errors import Interrupted, PanicError, ShardError
from panic_hpc.merging.assembling import THREADS
from panic_hpc.merging.copy_tasks import Target
from panic_hpc.merging.dataset_file import Contents, Draft, begin, finish
from panic_hpc.merging.layout import ArrayPlan
from panic_hpc.merging.own_dataset import admit_dataset
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.format.reader import CHECKSUM_COLUMNS, ArrayFile, OpenArrays
from panic_hpc.store.format.references import ARRAY, PATHS, References

Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Packed:
    """The whole dataset; `packed_nbytes` came out of shards, 0 where it was whole already."""

    path: Path
    content_key: str
    nbytes: int
    packed_nbytes: int


@dataclass(frozen=True, slots=True)
class _Block:
    """A disk block to copy: from a place of a file to a place of array `name`."""

    name: str
    row: int
    start: int
    path: Path
    place: int
    nbytes: int
    sha256: str


def pack(
    path: Path,
    target: Path,
    *,
    force: bool = False,
    report: Report = lambda done, total: None,
    should_stop: Callable[[], str] = str,
) -> Packed:
    """Write the dataset `path` with all of its pictures as `target`, which may be `path` itself.

    Content key and inputs stay the same; every byte is compared with its checksum once it is
    copied. Raises ShardError where the dataset or what it refers to is damaged or gone, PanicError
    where the target may not be replaced or the disk is full; then all stays as it was.
    """
    with Dataset(path) as dataset:
        file, references = dataset.file, dataset.file.references
        is_same = target.exists() and samefile(target, path)
        if references is None:
            if not is_same:
                raise PanicError(f"{path} has its pictures already: a copy is as good")
            return Packed(path, dataset.content_key, file.size, 0)
        shards = sorted({references.folder / one for one in references.paths})
        keys = [one["key"] for one in dataset.metadata["experiments"]]
        inputs = shards if is_same else [path, *shards]
        allow = partial(admit_dataset, target, keys, inputs, force=force)
        allow()
        arrays = _planned(file, references)
        with temporary_file(target) as temporary:
            draft = begin(temporary, target, _contents(dataset), arrays)
            _copy(_blocks(file, references, arrays), draft, file, references, report, should_stop)
            # Again, perhaps hours after the first time.
            allow()
            finish(draft, arrays, target)
        with ArrayFile(target) as whole:
            return Packed(target, dataset.content_key, whole.size, references.entry.nbytes)


def _planned(file: ArrayFile, references: References) -> dict[str, ArrayPlan]:
    """Return arrays of the whole dataset that are copied; checksums of pictures come last."""
    blocks = {name: one.blocks for name, one in file.entries.items() if one.blocks is not None}
    end = max((last for _, last in blocks.values()), default=0)
    blocks[ARRAY] = (end, end + len(references.blocks[1]))
    return {
        name: ArrayPlan(file.entry(name).dtype, file.entry(name).shape, rows)
        for name, rows in blocks.items()
    }


def _contents(dataset: Dataset) -> Contents:
    """Return the small tables, verified, without those of references."""
    file = dataset.file
    names = [
        name
        for name, entry in file.entries.items()
        if entry.blocks is None
        and name not in CHECKSUM_COLUMNS
        and not name.startswith(f"{PATHS}/")
    ]
    values = {name: file.header[name] for name in ("content_key", "inputs_key", "n_missing")}
    return Contents({name: file.array(name) for name in names}, values, dataset.results())


def _blocks(
    file: ArrayFile, references: References, arrays: Mapping[str, ArrayPlan]
) -> Iterator[_Block]:
    for name, plan in arrays.items():
        if name == ARRAY:
            starts, blocks = references.blocks
            found = zip(starts, blocks, strict=True)
        else:
            own = [(file.path, *one) for one in file.block_sums(name)]
            found = zip((place - file.entry(name).offset for _, place, *_ in own), own, strict=True)
        for row, (start, (path, place, nbytes, sha256)) in enumerate(found, plan.blocks[0]):
            yield _Block(name, row, start, path, place, nbytes, sha256)


def _copy(
    blocks: Iterator[_Block],
    draft: Draft,
    file: ArrayFile,
    references: References,
    report: Report,
    should_stop: Callable[[], str],
) -> None:
    todo = list(blocks)
    done, total = 0, sum(block.nbytes for block in todo)
    with writing(draft.path) as descriptor, ThreadPoolExecutor(THREADS, "pack") as pool:
        target = Target(OpenArrays(draft.path, descriptor, {}), draft.places)
        try:
            for nbytes in pool.map(partial(_copy_block, target, file, references), todo):
                done += nbytes
                report(done, total)
                if reason := should_stop():
                    raise Interrupted(f"The dataset is not whole yet: {reason}")
        except BaseException:
            # Else all that is left would be copied first, should anything hold what map returns.
            pool.shutdown(cancel_futures=True)
            raise


def _copy_block(target: Target, file: ArrayFile, references: References, block: _Block) -> int:
    """Copy a block, compare what was written with its checksum, and note that."""
    at = target.places[block.name] + block.start
    is_picture = block.name == ARRAY
    if is_picture:
        with references.opened(block.path) as descriptor:
            try:
                _copy_bytes(target, descriptor, block, at)
            except ShardError as error:
                raise references.another(block.path) from error
    else:
        # The descriptor that was verified: another dataset may have taken the name meanwhile.
        _copy_bytes(target, file.descriptor, block, at)
    if target.file.sha256(at, block.nbytes) != block.sha256:
        if is_picture:
            raise references.another(block.path)
        raise ShardError(f"{file.path} is damaged: wrong bytes in {block.name}")
    target.note(block.row, block.nbytes, block.sha256)
    return block.nbytes


def _copy_bytes(target: Target, descriptor: int, block: _Block, at: int) -> None:
    copy_range(descriptor, block.place, target.descriptor, at, block.nbytes, str(block.path))
