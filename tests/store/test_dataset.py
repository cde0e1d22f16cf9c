"""Datasets in use: cheap, from several processes, while they are replaced."""

import json
import multiprocessing
import os
import pickle
from pathlib import Path

import needs
import numpy as np
import pytest
import synthetic
from synthetic import Experiment

import panic_hpc
from panic_hpc.errors import PanicError, ShardError
from panic_hpc.store.dataset.dataset import Dataset


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset")
    return synthetic.pictured(root)


def total(dataset: Dataset, row: int) -> float:
    return float(dataset.trajectory(row, "Sight").sum())


def test_selections(path: Path) -> None:
    with panic_hpc.open(path) as dataset:
        runs = dataset.runs(network="Painter → OtherTeller", prompt="the moon ☾", seed=2)
        assert len(runs) == 1
        assert runs["run"].to_list() == [10]
        assert len(dataset.runs(network=0)) == 6
        with pytest.raises(PanicError, match="a red apple"):
            dataset.runs(prompt="a red aple")
        assert dataset.prompts()["group"].to_list() == ["fruit", None]


def test_wrong_names_are_answered_with_the_right_ones(path: Path) -> None:
    with panic_hpc.open(path) as dataset:
        with pytest.raises(PanicError, match="Sense, Sight"):
            dataset.trajectory(0, "Scent")
        with pytest.raises(PanicError, match="12 runs"):
            dataset.texts(12)
        with pytest.raises(PanicError, match="no run with key"):
            dataset.texts("0" * 32)
        with pytest.raises(PanicError, match="no image at step 1"):
            dataset.image(0, 1)


def test_provenance_travels_with_the_dataset(path: Path) -> None:
    with panic_hpc.open(path) as dataset:
        shards = dataset.shards()
        assert shards["stage"].to_list() == ["runs"] * 2 + ["embeddings"] * 4 + ["diagrams"] * 4
        assert json.loads(shards["numerics"][0]) == {"cpu": "one machine"}
        assert json.loads(shards["provenance"][9]) == {"host": "h"}


def test_frames_become_pandas(path: Path) -> None:
    needs.library("pandas", "dev")
    with panic_hpc.open(path) as dataset:
        assert list(dataset.runs().to_pandas()["seed"]) == [1, 2, 3] * 4


def test_opening_reads_no_table(path: Path) -> None:
    with panic_hpc.open(path) as dataset:
        reads: list[str] = []
        real = dataset.file.slice
        dataset.file.slice = lambda name, *rows: reads.append(name) or real(name, *rows)  # type: ignore[method-assign, func-returns-value]
        dataset.trajectory(3, "Sight")
        assert reads == ["embeddings/Sight/offsets", "embeddings/Sight/step",
                         "embeddings/Sight/vector"]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_share_a_dataset(path: Path, method: str) -> None:
    with panic_hpc.open(path) as dataset:
        expected = [total(dataset, row) for row in range(12)]
        with multiprocessing.get_context(method).Pool(2) as pool:
            found = pool.starmap(total, [(dataset, row) for row in range(12)])
        assert found == expected


def test_a_dataset_that_is_replaced_stays_readable(path: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "dataset.h5", tmp_path / "new.h5"
    old.write_bytes(path.read_bytes())
    experiment = Experiment(tmp_path / "exp", twist="!")
    synthetic.merged(new, (experiment, synthetic.write(experiment, [12])))
    with panic_hpc.open(old) as dataset, panic_hpc.open(path) as same:
        pickled = pickle.dumps(dataset)
        os.replace(new, old)
        for row in range(12):
            assert dataset.texts(row) == same.texts(row)
            assert np.array_equal(dataset.image(row, 0), same.image(row, 0))
        with pytest.raises(ShardError, match="replaced"):
            pickle.loads(pickled)
    with panic_hpc.open(old) as dataset:
        assert any("!" in text for row in range(12) for text in dataset.texts(row).values())


def test_shards_are_not_taken_for_datasets(path: Path) -> None:
    with pytest.raises(ShardError, match="not a dataset but a shard"):
        panic_hpc.open(path.parent / "exp" / "runs" / "runs_00000.h5")


@pytest.mark.compute
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_torch_reads_it_in_workers(path: Path) -> None:
    import torch

    with panic_hpc.open(path) as dataset:
        trajectories = dataset.torch("Sight", runs=[4, 2, 9])
        loader = torch.utils.data.DataLoader(
            trajectories, batch_size=2, num_workers=1, collate_fn=trajectories.collate
        )
        batches = list(loader)
        assert [rows.tolist() for _, _, rows in batches] == [[4, 2], [9]]
        padded, lengths, _ = batches[0]
        for place, row in enumerate((4, 2)):
            own = padded[place, : lengths[place]].numpy()
            assert np.array_equal(own, dataset.trajectory(row, "Sight"))
            assert not padded[place, lengths[place] :].any()
