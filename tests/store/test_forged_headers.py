"""A header whose checksum is right and whose contents are wrong is refused in one sentence."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import forge
import pytest
import synthetic
from synthetic import Experiment

from panic_hpc.errors import PanicError
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.store.dataset.dataset import open_dataset
from panic_hpc.store.format.shard import open_shard


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, and the shards that it was merged from beside it."""
    root = tmp_path_factory.mktemp("made")
    experiment = Experiment(
        root / "exp", seeds=(1, 3), embedding_models=(synthetic.SENSE,), has_real_images=True
    )
    inputs = synthetic.write(experiment, [5, 3])
    path = synthetic.merged(root / "made.h5", (experiment, inputs)).path
    for one in (path, *root.rglob("*.h5")):
        one.chmod(0o644)
    return path


def files(made: Path) -> list[Path]:
    return [made, *sorted(made.parent.joinpath("exp").rglob("*.h5"))]


def one_of_each_stage(made: Path) -> list[Path]:
    return [path for path in files(made) if path == made or path.stem.endswith("_00000")]


def outcome(path: Path, use: Callable[[Path], object]) -> str:
    """Return what using a file said; anything but a PanicError is a fault and comes through."""
    try:
        use(path)
    except PanicError as error:
        return error.message
    return ""


def as_dataset(path: Path) -> None:
    with open_dataset(path) as dataset:
        assert isinstance(dataset.n_runs, int)
        assert len(dataset.content_key) == 32


def as_shard(path: Path) -> None:
    with open_shard(path, manifest_key="k") as shard:
        assert isinstance(shard.shard_header.index, int)


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.long)])
def test_every_member_of_a_header_with_a_value_of_another_type_is_refused_or_read(
    made: Path, tmp_path: Path, step: int
) -> None:
    n_refused = n = 0
    for source in one_of_each_stage(made):
        header = forge.header_of(source)
        tops = [
            place for place in forge.places(header) if place[0] not in ("numerics", "provenance")
        ]
        # Every array says the same, so a few of them are enough.
        chosen = [p for p in tops if p[0] != "arrays" or p[1:2] in ((), *FEW)]
        for offset, place in enumerate(chosen):
            # Every fourth value for a member, and others for the next one.
            for new in (*forge.WRONG, forge.Gone)[offset % step :: step]:
                path = forge.copied(source, tmp_path / "forged.h5")
                if not forge.fits(source, forge.replaced(header, place, new)):
                    continue
                forge.restamp(path, partial(forge.replaced, place=place, new=new))
                n += 1
                refused = outcome(path, as_dataset if source == made else as_shard)
                found = verify_file(path).findings
                n_refused += bool(refused or found)
                path.unlink()
    print(f"faults: {n} members of headers, {n_refused} refused, the others read")
    assert n > 300 // step
    # An empty numerics class or a label of another name are as good as those that were there.
    assert n_refused > 0.9 * n


FEW = (("runs/key",), ("images/values",), ("embeddings/vector",), ("diagrams/bars",),
       ("checksums/sha256",), ("checksums/length",))  # fmt: skip


@pytest.mark.parametrize("raw", ['"\\ud800"', "NaN", "1e999", "9" * 30, "[" * 90 + "]" * 90])
@pytest.mark.parametrize("key", ["stage", "index", "model", "manifest_key", "numerics", "kind"])
def test_json_that_other_parsers_would_not_take_is_refused(
    made: Path, tmp_path: Path, key: str, raw: str
) -> None:
    import hashlib

    from panic_hpc.store.format import hdf5

    source = files(made)[1]
    path = forge.copied(source, tmp_path / "forged.h5")
    place, size, checksum_place = hdf5.locate_header(path)
    content = bytearray(path.read_bytes())
    header = forge.header_of(path)
    # Room for the longer value: checksums of arrays that nobody comes to.
    header["arrays"] = {}
    text = json.dumps({**header, key: "HERE"}).replace('"HERE"', raw).encode()
    if len(text) > size:
        pytest.skip("the file has no room for it")
    content[place : place + size] = text.ljust(size)
    content[checksum_place : checksum_place + 64] = (
        hashlib.sha256(text.ljust(size)).hexdigest().encode()
    )
    path.write_bytes(content)
    assert "header" in outcome(path, as_shard)
    assert [finding.rule for finding in verify_file(path).findings] == ["F02"]


def test_a_list_of_checksums_that_does_not_cover_its_array_is_refused(
    made: Path, tmp_path: Path
) -> None:
    for change in ([], ["0" * 63], ["0" * 64] * 2, ["Z" * 64], "0" * 64, None):
        path = forge.copied(files(made)[-1], tmp_path / "forged.h5")
        header = forge.header_of(path)
        name = next(n for n, entry in header["arrays"].items() if entry["sha256"])
        wanted = forge.replaced(header, ("arrays", name, "sha256"), change)
        # Made shorter elsewhere where it is longer.
        wanted = forge.replaced(wanted, ("provenance",), {})
        forge.restamp(path, partial(_instead, wanted))
        assert "header" in outcome(path, as_shard), change


def test_a_digest_file_of_another_shape_is_a_finding(made: Path, tmp_path: Path) -> None:
    from panic_hpc.store.format.file_digest import digest_path

    for content in ("[]", '{"format": "panic_hpc digest", "files": [1]}', "{" * 99, '{"files": 1}',
                    '{"format": "panic_hpc digest", "files": {"x": 3}}'):  # fmt: skip
        path = forge.copied(made, tmp_path / "forged.h5")
        digest_path(path).write_text(content)
        assert {finding.rule for finding in verify_file(path).findings} == {"F07"}


def _instead(wanted: Any, old: Any) -> Any:
    return wanted
