"""All analyses on datasets with failed runs, skipped diagrams, pictures, uneven and short runs."""

from dataclasses import replace
from pathlib import Path

import pytest
import synthetic

from panic_hpc.analysis import AnalysisRequest, Planted, analyse
from panic_hpc.analysis.records import AnalysisRecord
from panic_hpc.analysis.simulation.dataset import write_dataset
from panic_hpc.types import Prompt

QUICK = {"seed": 0, "draws": 19}


def analysed(path: Path, settings: dict[str, int]) -> dict[tuple[str, str], AnalysisRecord]:
    from panic_hpc.analysis.running import available

    request = AnalysisRequest(
        workers=1, directory=path.with_suffix(".out"), settings=dict.fromkeys(available(), settings)
    )
    return {(one.analysis, one.model): one for one in analyse(path, request)}


def synthetic_dataset(folder: Path, **changes: object) -> Path:
    made = replace(synthetic.Experiment(folder / "experiment"), **changes)  # type: ignore[arg-type]
    layout = [len(made.runs) // 2, len(made.runs) - len(made.runs) // 2]
    synthetic.merged(folder / "dataset.h5", (made, synthetic.write(made, layout)))
    return folder / "dataset.h5"


def assert_answered(records: dict[tuple[str, str], AnalysisRecord]) -> None:
    for place, record in records.items():
        assert not record.error, place
        assert record.result.statements or record.result.not_done, place
        assert record.seconds >= 0


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], AnalysisRecord]:
    prompts = tuple(Prompt(f"prompt {'word ' * number}{number}") for number in range(6))
    folder = tmp_path_factory.mktemp("synthetic")
    return analysed(synthetic_dataset(folder, prompts=prompts, has_real_images=True), QUICK)


def test_no_analysis_fails_on_skipped_diagrams_and_uneven_runs(
    usual: dict[tuple[str, str], AnalysisRecord],
) -> None:
    assert_answered(usual)


def test_diagrams_that_were_skipped_are_told_with_their_reason(
    usual: dict[tuple[str, str], AnalysisRecord],
) -> None:
    reasons = [one.why for one in usual["topology", "Sense"].result.not_done]
    assert "too few points" in reasons
    bars = usual["topology", "Sense"].result.table("bars")
    assert set(bars.data["homology_dimension"]) == {0, 1, 2}
    assert len(set(bars.data["run"])) == 2 * 6 * 2


def test_pictures_are_measured_as_they_were_made(
    usual: dict[tuple[str, str], AnalysisRecord],
) -> None:
    table = usual["pictures", ""].result.table("pictures")
    assert set(table.data["width"]) == {5}
    assert set(table.data["height"]) == {4}
    assert sum(table.data["pictures"]) == sum(
        usual["pictures", ""].result.table("sizes").data["pictures"]
    )


def test_outputs_are_counted_by_modality(usual: dict[tuple[str, str], AnalysisRecord]) -> None:
    table = usual["captions", ""].result.table("flags")
    assert set(table.data["modality"]) == {"text", "image"}
    assert set(table.data["output_truncated"]) == {0.0}


def test_captions_of_medoids_are_those_of_their_states(tmp_path: Path) -> None:
    write_dataset(
        Planted(prompts=2, networks=1, runs=2, states=60, dimensions=8, theme=0.0, noise=0.001),
        tmp_path / "S.h5",
    )
    import panic_hpc

    (record,) = analyse(tmp_path / "S.h5", AnalysisRequest(("clusters",), workers=1))
    table = record.result.table("clusters")
    found = [row for row in map(table.row, range(len(table))) if row["cluster"] >= 0]
    assert found
    with panic_hpc.open(tmp_path / "S.h5") as dataset:
        for row in found:
            texts = list(dataset.texts(row["medoid_run"]).values())
            assert row["caption"] == texts[row["medoid_state"]]


@pytest.mark.parametrize(
    "changes",
    [
        {"max_length": 1},
        {"max_length": 2},
        {"prompts": (Prompt("alone"),), "seeds": (1,)},
        {"seeds": (3,)},
        {"networks": ((synthetic.PAINTER, synthetic.TELLER),), "embedding_models": ()},
    ],
    ids=["one step", "two steps", "a run a network", "all diagrams skipped", "no embeddings"],
)
def test_datasets_that_can_answer_little_fail_no_analysis(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    assert_answered(analysed(synthetic_dataset(tmp_path, **changes), QUICK))


def test_planted_datasets_of_one_run_fail_no_analysis(tmp_path: Path) -> None:
    write_dataset(Planted(prompts=1, networks=1, runs=1, states=1, dimensions=4), tmp_path / "S.h5")
    assert_answered(analysed(tmp_path / "S.h5", QUICK))
