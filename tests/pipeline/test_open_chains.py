"""From a file to a dataset with a chain that does not come round, and with nothing to embed."""

from pathlib import Path

import pytest
from little_experiment import plan_little

import panic_hpc
from panic_hpc.store.checks.verify import verify_file


@pytest.mark.parametrize("embedding_models", [[], ["DummyVision"]])
def test_a_chain_of_one_picture_goes_all_the_way(
    tmp_path: Path, embedding_models: list[str]
) -> None:
    root = plan_little(tmp_path / "E", embedding_models=embedding_models, max_length=1)
    workspace = panic_hpc.open_workspace(root)
    panic_hpc.submit(workspace, panic_hpc.request_for("local", executor="inline"), wait=True)
    state = panic_hpc.wait(workspace)
    assert state.is_complete
    with panic_hpc.open(workspace.paths.dataset) as dataset:
        assert list(dataset.embedding_models) == embedding_models
        assert [dataset.image_steps(run) for run in range(dataset.n_runs)] == [[0]] * 6
        # The model behind the end of the runs has not been loaded.
        assert "DummyI2T" not in dataset.shards()["provenance"][0]
    assert verify_file(workspace.paths.dataset).findings == ()
