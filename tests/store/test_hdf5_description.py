"""A dataset is netCDF enough for xarray: named dimensions, units, times."""

from pathlib import Path

import needs
import numpy as np
import pytest
import synthetic
from synthetic import Experiment

import panic_hpc

xarray = needs.library("xarray", "dev")
needs.library("h5netcdf", "dev")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("netcdf")
    experiment = Experiment(root / "exp")
    inputs = synthetic.write(experiment, [7, 5])
    return synthetic.merged(root / "d.h5", (experiment, inputs)).path


def test_xarray_reads_runs_by_named_dimension(dataset: Path) -> None:
    with xarray.open_dataset(dataset, engine="h5netcdf", group="runs") as runs:
        assert runs.sizes["run"] == 12
        assert runs["key"].dims == ("run",)
        assert runs["offsets"].dims == ("run_edge",)
        with panic_hpc.open(dataset) as own:
            assert runs["key"].values.astype("U32").tolist() == own.runs()["key"].to_list()
        assert runs["ended"].attrs["flag_meanings"] == "length loop failed unknown"


def test_xarray_reads_embeddings_and_diagrams(dataset: Path) -> None:
    with xarray.open_dataset(dataset, engine="h5netcdf", group="embeddings/Sight") as sight:
        assert sight["vector"].dims == ("embedding", "component")
        with panic_hpc.open(dataset) as own:
            first, last = sight["offsets"].values[3:5]
            _, vectors = own.embeddings(3, "Sight")
            assert np.array_equal(sight["vector"].values[first:last], vectors)
    with xarray.open_dataset(dataset, engine="h5netcdf", group="diagrams/Sense") as sense:
        assert sense["entropy"].dims == ("run", "homology_dimension")
        assert sense["bars"].dims == ("bar", "birth_death")


def test_xarray_decodes_times(dataset: Path) -> None:
    with xarray.open_dataset(dataset, engine="h5netcdf", group="invocations") as invocations:
        assert invocations["started"].dtype.kind == "M"
        assert invocations["seconds"].attrs["units"] == "s"


def test_xarray_reads_the_whole_tree(dataset: Path) -> None:
    with xarray.open_datatree(dataset, engine="h5netcdf") as tree:
        assert tree["runs/seed"].dims == ("run",)
        assert set(tree["embeddings"].children) == {"Sense", "Sight"}
