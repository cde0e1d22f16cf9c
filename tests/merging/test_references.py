"""Datasets whose pictures stay in their shards: the same content, and nothing believed unread."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import forge
import numpy as np
import pytest
import synthetic
from numpy.typing import NDArray
from synthetic import Experiment

import panic_hpc
from panic_hpc.analysis import AnalysisRequest, analyse
from panic_hpc.analysis.comparing.arms import all_arms
from panic_hpc.analysis.running import available
from panic_hpc.errors import AwayError, PanicError, ShardError
from panic_hpc.merging.split import split
from panic_hpc.report.overview import draw_contact_sheet
from panic_hpc.report.tensorboard import export_tensorboard
from panic_hpc.report.video import export_video
from panic_hpc.report.voting.voting_page import voting_page
from panic_hpc.report.writing import write_report
from panic_hpc.store.checks.file import sum_problems
from panic_hpc.store.checks.sampling import ALL
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.exports.crate import Description, export_crate
from panic_hpc.store.exports.images import export_images
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.voting.questions import questions_on

LAYOUT = [7, 5]


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    return Experiment(tmp_path / "exp" / "parts", has_real_images=True)


@pytest.fixture
def both(experiment: Experiment) -> tuple[Path, Path]:
    """A dataset that refers and one that is whole, of the same shards."""
    inputs = synthetic.write(experiment, LAYOUT)
    referring, whole = (experiment.root.parent / name for name in ("referring.h5", "whole.h5"))
    one = synthetic.merged(referring, (experiment, inputs), refer=True)
    other = synthetic.merged(whole, (experiment, inputs))
    assert one.content_key == other.content_key
    assert one.referred_nbytes > other.referred_nbytes == 0
    return referring, whole


def test_both_forms_have_the_same_pictures_and_are_clean(both: tuple[Path, Path]) -> None:
    for path in both:
        assert verify_file(path).findings == ()
    with panic_hpc.open(both[0]) as referring, panic_hpc.open(both[1]) as whole:
        assert "images/values" not in referring.file.entries
        assert "references/start" not in whole.file.entries
        n_pictures = 0
        for run in range(whole.n_runs):
            assert referring.image_steps(run) == whole.image_steps(run)
            for step in whole.image_steps(run):
                n_pictures += 1
                assert referring.image_bytes(run, step) == whole.image_bytes(run, step)
                assert np.array_equal(referring.image(run, step), whole.image(run, step))
        assert n_pictures > 12
        values = referring.file.array("images/values")
        assert np.array_equal(values, whole.file.array("images/values"))


def test_exports_and_the_contact_sheet_are_equal(both: tuple[Path, Path], tmp_path: Path) -> None:
    found = []
    for path in both:
        out = tmp_path / path.stem
        with panic_hpc.open(path) as dataset:
            assert export_images(dataset, out / "pictures") > 12
            draw_contact_sheet(dataset, out / "sheet.png")
        files = sorted(one for one in out.rglob("*") if one.is_file())
        found.append({one.relative_to(out): one.read_bytes() for one in files})
    assert found[0] == found[1]


def test_the_folder_can_be_moved_and_the_dataset_alone_cannot(
    both: tuple[Path, Path], tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(both[0].parent, moved)
    shutil.rmtree(both[0].parent)
    assert verify_file(moved / "referring.h5").findings == ()
    alone = tmp_path / "alone" / "referring.h5"
    alone.parent.mkdir()
    shutil.copy(moved / "referring.h5", alone)
    assert {finding.rule for finding in verify_file(alone).findings} == {"F08"}
    with panic_hpc.open(alone) as dataset:
        assert dataset.texts(0)
        step = dataset.image_steps(0)[0]
        with pytest.raises(ShardError, match=r"cannot be read .*No such file"):
            dataset.image(0, step)


def test_pictures_that_are_away_are_no_pictures_that_are_bad(
    both: tuple[Path, Path], tmp_path: Path
) -> None:
    alone = tmp_path / "alone" / "referring.h5"
    alone.parent.mkdir()
    shutil.copy(both[0], alone)
    with panic_hpc.open(both[0]) as dataset:
        export_tensorboard(dataset, tmp_path / "with")
        assert _voting_page(dataset)
    with panic_hpc.open(alone) as dataset:
        with pytest.raises(ShardError, match="cannot be read"):
            export_tensorboard(dataset, tmp_path / "without")
        assert not list(tmp_path.glob("without/**/*tfevents*"))
        with pytest.raises(ShardError, match="cannot be read"):
            _voting_page(dataset)
        assert export_tensorboard(dataset, tmp_path / "none", pictures=0)


def _voting_page(dataset: Dataset) -> bytes:
    return voting_page(questions_on(all_arms([dataset]), 4, seed=0), "0", title="T")


def _flip(path: Path) -> None:
    """Change a byte of the first picture."""
    path.chmod(0o644)
    forge.overwrite(path, "images/values", lambda values: values ^ np.uint8(1))


def _replace_by_a_link(path: Path) -> None:
    outside = path.parents[4] / "outside.h5"
    shutil.move(path, outside)
    path.symlink_to(outside)


def _replace_by_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _truncate(path: Path) -> None:
    path.chmod(0o644)
    os.truncate(path, 4096)


def _replace_by_a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    "harm",
    [
        *(_flip, _replace_by_a_link, _replace_by_a_pipe, _replace_by_a_loop, _truncate),
        Path.unlink,
    ],
)
def test_a_shard_that_is_not_what_was_referred_to_is_never_read(
    experiment: Experiment, both: tuple[Path, Path], harm: Callable[[Path], None]
) -> None:
    harm(experiment.root / "runs" / "runs_00000.h5")
    assert {finding.rule for finding in verify_file(both[0]).findings} == {"F08"}
    with panic_hpc.open(both[0]) as dataset:
        step = dataset.image_steps(0)[0]
        with pytest.raises(AwayError, match=r"runs_00000.*panic-hpc (merge|dataset pack)"):
            dataset.image(0, step)
        # The other shard is as it was.
        last = dataset.n_runs - 1
        assert dataset.image(last, dataset.image_steps(last)[0]).size


def test_a_shard_that_is_replaced_while_it_is_read_is_noticed(
    experiment: Experiment, both: tuple[Path, Path]
) -> None:
    shard = experiment.root / "runs" / "runs_00000.h5"
    with panic_hpc.open(both[0]) as dataset:
        step = dataset.image_steps(0)[0]
        assert dataset.image(0, step).size
        other = shard.with_name("other.h5")
        shutil.copy(shard, other)
        _flip(other)
        os.replace(other, shard)
        with pytest.raises(AwayError, match="is not the file"):
            dataset.image(0, step)


def test_a_link_to_a_dataset_finds_its_pictures(both: tuple[Path, Path], tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "d.h5"
    link.parent.mkdir()
    link.symlink_to(both[0])
    assert verify_file(link).findings == ()
    with panic_hpc.open(link) as dataset, panic_hpc.open(both[0]) as itself:
        step = dataset.image_steps(0)[0]
        assert np.array_equal(dataset.image(0, step), itself.image(0, step))


def test_a_report_without_its_pictures_says_which_files_are_away(
    experiment: Experiment, tmp_path: Path
) -> None:
    inputs = synthetic.write(experiment, [6, 4, 2])
    path = synthetic.merged(tmp_path / "exp" / "d.h5", (experiment, inputs), refer=True).path
    _flip(experiment.root / "runs" / "runs_00000.h5")
    (experiment.root / "runs" / "runs_00001.h5").unlink()
    told: list[str] = []
    with panic_hpc.open(path) as dataset:
        page = write_report(dataset, tmp_path / "out", [], {}, warn=told.append)
    assert [one[:22] for one in told] == ["No pictures of 6 runs:", "No pictures of 4 runs:"]
    for text in ("".join(told), page.read_text(), page.with_name("explorer.html").read_text()):
        assert "runs_00000.h5 is damaged" in text
        assert "runs_00001.h5, which cannot be read" in text
        assert "panic-hpc merge EXP" in text
    # Runs of the third shard have theirs.
    assert len(list((tmp_path / "out" / "pictures").glob("*.webp"))) == 2


def test_what_an_analysis_found_without_pictures_is_not_kept_once_these_are_back(
    experiment: Experiment, both: tuple[Path, Path]
) -> None:
    """It said "cannot be read" for ever, of files that had come back."""
    shard, request = experiment.root / "runs" / "runs_00000.h5", AnalysisRequest(("pictures",))
    content = shard.read_bytes()
    shard.unlink()
    for _ in range(2):
        (lacking,) = analyse(both[0], request)
        assert (lacking.is_cached, lacking.away) == (False, ["parts/runs/runs_00000.h5"])
        assert any("cannot be read" in one.why for one in lacking.result.not_done)
    shard.write_bytes(content)
    with panic_hpc.open(both[0]) as dataset:
        told: list[str] = []
        out = both[0].parent / "out"
        page = write_report(dataset, out, [lacking], available(), warn=told.append)
    for text in ("".join(told), page.read_text()):
        assert "which is there now: type panic-hpc analyse" in text
    (found,) = analyse(both[0], request)
    assert (found.is_cached, found.away) == (False, [])
    assert found.result.table("pictures").row(0)["width"] == 5
    # What was found with all pictures holds without them too: the content is the same.
    shard.unlink()
    (again,) = analyse(both[0], request)
    assert again.is_cached
    assert again.result.table("pictures").row(0) == found.result.table("pictures").row(0)


def test_a_damaged_shard_is_no_bad_picture_to_those_who_skip_these(
    experiment: Experiment, both: tuple[Path, Path], tmp_path: Path
) -> None:
    _flip(experiment.root / "runs" / "runs_00000.h5")
    with panic_hpc.open(both[0]) as dataset:
        with pytest.raises(AwayError):
            export_tensorboard(dataset, tmp_path / "board")
        with pytest.raises(AwayError):
            _voting_page(dataset)


def test_exports_of_pictures_look_for_all_shards_before_they_write(
    experiment: Experiment, both: tuple[Path, Path], tmp_path: Path
) -> None:
    (experiment.root / "runs" / "runs_00001.h5").unlink()
    with panic_hpc.open(both[0]) as dataset:
        with pytest.raises(AwayError, match="runs_00001"):
            export_images(dataset, tmp_path / "out")
        with pytest.raises(AwayError, match="runs_00001"):
            export_video(dataset, tmp_path / "film.mp4")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_away_is_one_finding_whatever_lay_in_it(
    experiment: Experiment, both: tuple[Path, Path]
) -> None:
    """Once there was one for each of its blocks."""
    with panic_hpc.open(both[0]) as dataset:
        references = dataset.file.references
    assert references is not None
    _, blocks = references.blocks
    many = [(path, place + k, 1, sha256) for path, place, _, sha256 in blocks for k in range(30)]
    references.__dict__["blocks"] = list(range(len(many))), many
    (experiment.root / "runs" / "runs_00000.h5").unlink()
    with ArrayFile(both[0]) as file:
        file.__dict__["references"] = references
        found = [sentence for _, sentence in sum_problems(file, ALL, lambda done, total: None)]
    assert len([sentence for sentence in found if "runs_00000" in sentence]) == 1


FORGED: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "references/start": lambda starts: np.array([0, 2**62, 2**62], starts.dtype),
    "references/offset": lambda offsets: np.full_like(offsets, 2**63 - 1),
    "references/offsets": lambda edges: np.array([0, 2**40, 2**41], edges.dtype),
    "references/values": lambda values: np.frombuffer(
        b"\xed\xa0\x80" + values[3:].tobytes(), np.uint8
    ),
    "references/sha256": lambda sums: np.full_like(sums, b"\xff"),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_tables_of_references_are_told_at_once(both: tuple[Path, Path], name: str) -> None:
    """A length of 2^62 bytes has 2^39 blocks, which were counted one by one."""
    both[0].chmod(0o644)
    forge.overwrite(both[0], name, FORGED[name])
    assert "F08" in {finding.rule for finding in verify_file(both[0]).findings}
    with panic_hpc.open(both[0]) as dataset, pytest.raises(ShardError):
        dataset.image(0, 0)


@pytest.mark.parametrize("path", ["../secret.h5", "/etc/passwd", "a/../../b.h5", "", "a\0b"])
def test_a_path_that_could_leave_the_folder_is_refused(both: tuple[Path, Path], path: str) -> None:
    with panic_hpc.open(both[0]) as dataset:
        n_bytes = dataset.file.rows("references/values")
    _set_first_path(both[0], path.encode(), n_bytes)
    assert "F08" in {finding.rule for finding in verify_file(both[0]).findings}
    with panic_hpc.open(both[0]) as dataset, pytest.raises(ShardError, match="below its folder"):
        dataset.image(0, 0)


def _set_first_path(dataset: Path, path: bytes, n_bytes: int) -> None:
    dataset.chmod(0o644)
    forge.overwrite(
        dataset,
        "references/values",
        lambda values: np.frombuffer(path.ljust(n_bytes, b"x"), np.uint8),
    )
    forge.overwrite(
        dataset,
        "references/offsets",
        lambda offsets: np.array([0, len(path), n_bytes], offsets.dtype),
    )


def test_the_same_command_makes_it_whole_and_lean_again(experiment: Experiment) -> None:
    inputs = synthetic.write(experiment, LAYOUT)
    target = experiment.root.parent / "dataset.h5"
    sizes = []
    for refer in (True, True, False, False, True):
        merged = synthetic.merged(target, (experiment, inputs), refer=refer)
        sizes.append((merged.is_new, merged.nbytes))
        assert verify_file(target).findings == ()
    assert [is_new for is_new, _ in sizes] == [True, False, True, False, True]
    assert sizes[0][1] < sizes[2][1]


def test_shards_behind_a_link_that_leads_out_are_no_shards_of_the_folder(
    experiment: Experiment, both: tuple[Path, Path], tmp_path: Path
) -> None:
    """As on a cluster, where they lie on another disk: what helps is told, and nothing else."""
    away = shutil.move(experiment.root, tmp_path / "scratch")
    experiment.root.symlink_to(away)
    inputs = synthetic.write(experiment, LAYOUT)
    with pytest.raises(PanicError, match=r"leads to .*scratch.*merge with --images copy") as caught:
        synthetic.merged(experiment.root.parent / "again.h5", (experiment, inputs), refer=True)
    assert "--output" not in str(caught.value)
    with panic_hpc.open(both[0]) as dataset, pytest.raises(AwayError, match=r"leads to .*scratch"):
        dataset.image(0, dataset.image_steps(0)[0])


def test_shards_elsewhere_and_whole_files_are_asked_for(
    experiment: Experiment, both: tuple[Path, Path], tmp_path: Path
) -> None:
    inputs = synthetic.write(replace_root(experiment, tmp_path / "far"), LAYOUT)
    with pytest.raises(PanicError, match="is not below"):
        synthetic.merged(tmp_path / "other" / "d.h5", (experiment, inputs), refer=True)
    with pytest.raises(PanicError, match="refers to pictures"):
        split(both[0], tmp_path / "parts", 10**6)
    with panic_hpc.open(both[0]) as dataset, pytest.raises(PanicError, match="refers to pictures"):
        dataset.result("runs").column("images/values")


def test_a_crate_is_made_of_whole_datasets_only(both: tuple[Path, Path], tmp_path: Path) -> None:
    about = Description(title="Foxes", authors=("Doe, Jane",))
    with pytest.raises(PanicError, match="refers to pictures"):
        export_crate([both[0]], tmp_path / "crate", about)
    assert export_crate([both[1]], tmp_path / "crate", about)


def replace_root(experiment: Experiment, root: Path) -> Experiment:
    return Experiment(root, has_real_images=experiment.has_real_images)


def test_runs_that_two_experiments_share_are_referred_to_once(
    experiment: Experiment, tmp_path: Path
) -> None:
    other = Experiment(tmp_path / "exp" / "more", seeds=(2, 3, 4), has_real_images=True)
    pairs = [(one, synthetic.write(one, LAYOUT)) for one in (experiment, other)]
    referring = synthetic.merged(tmp_path / "exp" / "a.h5", *pairs, refer=True)
    whole = synthetic.merged(tmp_path / "exp" / "b.h5", *pairs)
    assert referring.content_key == whole.content_key
    assert verify_file(referring.path).findings == ()
    with panic_hpc.open(referring.path) as one, panic_hpc.open(whole.path) as two:
        assert np.array_equal(one.file.array("images/values"), two.file.array("images/values"))


def test_relative_names_refer_to_the_same_files_once_all_has_moved(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = synthetic.write(experiment, LAYOUT)
    monkeypatch.chdir(tmp_path)
    inputs = [replace(one, path=Path(os.path.relpath(one.path))) for one in inputs]
    # A shard that lies elsewhere below the folder, to which a link leads.
    (tmp_path / "exp" / "store").mkdir()
    inputs[0].path.rename("exp/store/first.h5")
    inputs[0].path.symlink_to("../../store/first.h5")
    target = Path("exp/../exp/d.h5")
    assert synthetic.merged(target, (experiment, inputs), refer=True).referred_nbytes
    (tmp_path / "exp").rename(tmp_path / "moved")
    assert verify_file(Path("moved/d.h5")).findings == ()
    monkeypatch.chdir(tmp_path / "moved" / "parts")
    with panic_hpc.open("../d.h5") as dataset:
        assert dataset.image(0, dataset.image_steps(0)[0]).size
        assert dataset.file.references
        assert dataset.file.references.paths[0] == "store/first.h5"
    monkeypatch.chdir(tmp_path / "moved" / "parts" / "runs")
    moved = [replace(one, path=tmp_path / "moved" / one.path.relative_to("exp")) for one in inputs]
    with pytest.raises(PanicError, match=f"is not below {tmp_path}/moved/parts/runs, where"):
        synthetic.merged(Path("d.h5"), (experiment, moved), refer=True)
