"""Every rule has a file that breaks it and nothing else; no flipped bit goes unnoticed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forge
import h5py
import numpy as np
import pytest
import synthetic
from synthetic import Experiment

from panic_hpc.errors import PanicError
from panic_hpc.store.checks.file import sum_problems
from panic_hpc.store.checks.rules import BY_ID
from panic_hpc.store.checks.sampling import ALL, Sample, parse_sample
from panic_hpc.store.checks.untrusted import verify_in_child
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.store.format.reader import ArrayFile


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean dataset."""
    root = tmp_path_factory.mktemp("good")
    experiment = Experiment(
        root / "exp", seeds=(1, 3), embedding_models=(synthetic.SENSE,), has_real_images=True
    )
    inputs = synthetic.write(experiment, [5, 3])
    path = synthetic.merged(root / "good.h5", (experiment, inputs)).path
    path.chmod(0o644)
    return path


def shard_of(good: Path) -> Path:
    return good.parent / "exp" / "runs" / "runs_00000.h5"


def rules(path: Path) -> set[str]:
    return {finding.rule for finding in verify_file(path).findings}


def test_clean_files_have_no_findings_and_the_dataset_its_key(good: Path) -> None:
    found = verify_file(good)
    assert found.findings == ()
    with ArrayFile(good) as file:
        assert found.content_key == file.header["content_key"]
    for path in good.parent.joinpath("exp").rglob("*.h5"):
        assert verify_file(path).findings == (), path


def first(value: Any) -> forge.Change:
    """Return a change of the first row."""

    def change(rows: Any) -> Any:
        rows[0] = value
        return rows

    return change


def swapped(rows: Any) -> Any:
    rows[[0, 1]] = rows[[1, 0]]
    return rows


def header(**values: Any) -> Callable[[Path], None]:
    """Return a forgery that puts values into the header; longer ones need room elsewhere."""

    def forge_header(path: Path) -> None:
        forge.restamp(path, lambda found: found | values)

    return forge_header


def column(name: str, change: forge.Change) -> Callable[[Path], None]:
    return lambda path: forge.overwrite(path, name, change)


def other_dtype(found: Any) -> Any:
    found["arrays"]["runs/seed"]["dtype"] = "<u8"
    return found


def overlapping(found: Any) -> Any:
    arrays = found["arrays"]
    arrays["runs/index"]["offset"] = arrays["runs/seed"]["offset"]
    return found


def not_an_image(path: Path) -> None:
    """Break an image's bytes, and make digest and content key right for them."""
    forge.overwrite(path, "images/values", first(0))
    redo_digests(path)


def not_a_text(path: Path) -> None:
    forge.overwrite(path, "texts/values", first(0xFF))
    redo_digests(path)


def redo_digests(path: Path) -> None:
    from panic_hpc.store.checks.content import content_key_problems
    from panic_hpc.store.format.digest import run_digests
    from panic_hpc.store.results.base import kind_of
    from panic_hpc.store.results.section import Section

    with ArrayFile(path) as file:
        found = np.array(
            [digest.encode() for _, digest in run_digests(Section(file, kind_of("runs")))], "S64"
        )
    forge.overwrite(path, "runs/digest", lambda _: found)
    with ArrayFile(path) as file:
        ((_, sentence),) = content_key_problems(file)
    key = sentence.split("content key is ")[1][:32]
    forge.restamp(path, lambda old: old | {"content_key": key})


def external_link(path: Path) -> None:
    def change(file: h5py.File) -> None:
        del file["runs/seed"]
        file["runs/seed"] = h5py.ExternalLink("/etc/passwd", "/runs/seed")

    forge.edit(path, change)


def new_unit(file: h5py.File) -> None:
    file["runs/seed"].attrs["long_name"] = "something else"


DATASET_FORGERIES: dict[str, Callable[[Path], object]] = {
    "F01": lambda path: path.write_bytes(b"not HDF5 at all"),
    "F02": header(version=[2, 0]),
    "F03": lambda path: forge.restamp(path, overlapping),
    "F04": external_link,
    "F05": lambda path: forge.edit(path, lambda file: file.create_dataset("extra", data=[1, 2])),
    "F06": lambda path: forge.flip(path, offset(path, "images/values")),
    "F07": lambda path: forge.edit(path, new_unit, redigest=False),
    "S01": lambda path: forge.restamp(path, other_dtype),
    "S02": column("runs/n_steps", first(30)),
    "S03": column("texts/offsets", first(1)),
    "S04": column("runs/prompt", first(77)),
    "S05": column("invocations/step", first(3)),
    "S06": column("runs/ended", first(9)),
    "S07": column("runs/index", swapped),
    "S08": column("metadata", first(ord("["))),
    "D01": column("runs/seed", first(77)),
    "D02": header(content_key="0" * 32),
    "D03": not_an_image,
    "D04": not_a_text,
}  # fmt: skip


def offset(path: Path, name: str) -> int:
    with ArrayFile(path) as file:
        return file.entry(name).offset


# F08 needs shards beside the dataset: tests/merging/test_references.py breaks it.
@pytest.mark.parametrize("rule", [rule for rule in BY_ID if rule[0] != "M" and rule != "F08"])
def test_each_rule_has_a_dataset_that_breaks_it(good: Path, tmp_path: Path, rule: str) -> None:
    path = forge.copied(good, tmp_path / "d.h5")
    DATASET_FORGERIES[rule](path)
    found = rules(path)
    assert rule in found
    assert found <= {rule, *CONSEQUENCES.get(rule, ())}


CONSEQUENCES = {"S01": {"F04"}, "S02": {"S03"}}
"""A wrong dtype is one that HDF5 does not show; a wrong count breaks the sums of it."""


def test_every_finding_has_an_importance_and_a_next_command(good: Path, tmp_path: Path) -> None:
    path = forge.copied(good, tmp_path / "d.h5")
    forge.overwrite(path, "runs/seed", first(77))
    (finding,) = verify_file(path).findings
    assert finding.to_json()["importance"] == "critical"
    assert "panic-hpc merge" in finding.hint


def test_every_array_is_protected(good: Path, tmp_path: Path) -> None:
    path = forge.copied(good, tmp_path / "d.h5")
    with ArrayFile(good) as file:
        entries = {name: entry for name, entry in file.entries.items() if entry.nbytes}
    for name, entry in entries.items():
        for place in (0, entry.nbytes - 1):
            forge.flip(path, entry.offset + place)
            with ArrayFile(path) as file:
                found = {rule for rule, _ in sum_problems(file, ALL, lambda done, total: None)}
            assert found == {"F06"}, (name, place)
            forge.flip(path, entry.offset + place)
    assert rules(path) == set()


def test_every_byte_outside_of_the_arrays_is_protected(good: Path, tmp_path: Path) -> None:
    path = forge.copied(good, tmp_path / "d.h5")
    with ArrayFile(good) as file:
        inside = np.zeros(file.size, bool)
        for entry in file.entries.values():
            inside[entry.offset : entry.offset + entry.nbytes] = True
    places = np.flatnonzero(~inside)
    chosen = np.random.default_rng(1).choice(places, 30, replace=False)
    for place in chosen.tolist():
        forge.flip(path, place)
        assert rules(path), place
        forge.flip(path, place)
    assert rules(path) == set()


@pytest.mark.parametrize("file", ["dataset", "shard"])
def test_a_word_in_a_header_that_nothing_else_covers_is_protected(
    good: Path, tmp_path: Path, file: str
) -> None:
    path = forge.copied(good if file == "dataset" else shard_of(good), tmp_path / f"{file}.h5")
    member = b'"inputs_key":"' if file == "dataset" else b'"manifest_key":"'
    content = path.read_bytes()
    place = content.index(member) + len(member)
    other = b"1" if content[place : place + 1] == b"0" else b"0"
    path.write_bytes(content[:place] + other + content[place + 1 :])
    assert rules(path) == {"F02"}


def test_shards_are_checked_by_the_same_rules(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "runs_00000.h5"
    for rule in ("F01", "F03", "F04", "F05", "F06", "S03", "S05", "S06", "D01"):
        forge.copied(shard_of(good), path)
        path.chmod(0o644)
        DATASET_FORGERIES[rule](path)
        assert rule in rules(path)


def test_samples_take_about_their_share_and_parts_take_everything_once() -> None:
    taken = sum(parse_sample("5%", "").takes("image", item) for item in range(10_000))
    assert 400 < taken < 600
    parts = [parse_sample("", f"{k}/5") for k in range(1, 6)]
    for item in range(200):
        assert sum(part.takes("image", item) for part in parts) == 1
    assert all(ALL.takes("image", item) for item in range(10))


@pytest.mark.parametrize("wrong", [("5", ""), ("0%", ""), ("", "6/5"), ("5%", "1/5"), ("x%", "")])
def test_wrong_samples_are_refused(wrong: tuple[str, str]) -> None:
    with pytest.raises(PanicError):
        parse_sample(*wrong)


def test_strangers_files_are_checked_in_a_child(good: Path, tmp_path: Path) -> None:
    assert verify_in_child(good, ALL) == verify_file(good)
    path = forge.copied(good, tmp_path / "d.h5")
    DATASET_FORGERIES["D03"](path)
    assert verify_in_child(path, ALL).findings == verify_file(path).findings
    assert verify_in_child(good, Sample(0.0, 0.1)).findings == ()
    (late,) = verify_in_child(good, ALL, timeout_s=0.01).findings
    assert late.rule == "F01"
    assert "longer than" in late.message


def test_findings_are_json(good: Path, tmp_path: Path) -> None:
    path = forge.copied(good, tmp_path / "d.h5")
    forge.flip(path, offset(path, "texts/values"))
    value = json.dumps([finding.to_json() for finding in verify_file(path).findings])
    assert json.loads(value)[0]["rule"] == "F06"
