"""Profiles are found by name, extended, checked as a whole, and resolved on the login node."""

import os
import re
from pathlib import Path

import pytest

from panic_hpc.clusters.profiles import available, load_cluster, resolved, shipped_directory
from panic_hpc.errors import ConfigError
from panic_hpc.stages.base import installed_stages

SHIPPED = sorted(path.stem for path in shipped_directory().glob("[!_]*.toml"))


@pytest.fixture
def own(tmp_path: Path) -> dict[str, str]:
    """The environment of a user whose profiles lie in tmp_path."""
    return {"PANIC_HPC_CLUSTERS": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "none")}


def write(directory: Path, name: str, text: str) -> None:
    (directory / f"{name}.toml").write_text(f'name = "{name}"\n{text}')


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_profiles_are_valid_and_say_where_their_facts_are_from(name: str) -> None:
    cluster = load_cluster(name, {})
    assert cluster.name == name
    assert cluster.description
    assert cluster.scheduler == "local" or cluster.source.tried or cluster.source.documents


def test_the_real_systems_cover_amd_and_whole_nodes() -> None:
    clusters = [load_cluster(name, {}) for name in SHIPPED]
    assert any(c.container and c.container.gpu == "rocm" for c in clusters)
    assert any(c.stages.runs.shards_per_job > 1 for c in clusters)


def test_every_key_of_the_template_exists(tmp_path: Path) -> None:
    """Its commented lines, uncommented, are a valid profile."""
    text = (shipped_directory() / "_template.toml").read_text()
    lines = [line.removeprefix("# ") if " = " in line or "# [" in line else line
             for line in text.splitlines()]  # fmt: skip
    lines = [line for line in lines if not line.startswith(('extends = "lumi', "UCX"))]
    (tmp_path / "t.toml").write_text("\n".join(lines).replace('"NAME"', '"full"'))
    cluster = load_cluster(str(tmp_path / "t.toml"), {})
    assert cluster.container is not None
    assert cluster.stages.runs.extra == {"reservation": "course"}


def test_a_profile_extends_another_and_its_values_win(tmp_path: Path, own: dict[str, str]) -> None:
    write(
        tmp_path, "mine", 'extends = "lumi-g"\n[defaults]\naccount = "p1"\n[stages.runs]\ncpus = 3'
    )
    cluster = load_cluster("mine", own)
    assert cluster.stages.runs.cpus == 3
    assert cluster.stages.runs.partition == "small-g"
    assert {cluster.stage(name).account for name in tuple(installed_stages())} == {"p1"}


def test_a_profile_from_before_activations_gives_them_what_runs_have(
    tmp_path: Path, own: dict[str, str]
) -> None:
    old = '[defaults]\npartition = "p"\n[stages.runs]\ngpus = 1\nwalltime_min = 90\n'
    write(tmp_path, "old", old)
    cluster = load_cluster("old", own)
    assert cluster.stage("activations").gpus == 1
    assert cluster.stage("activations").walltime_min == 90
    assert cluster.stage("diagrams").gpus == 0
    write(tmp_path, "new", old + "[stages.activations]\ncpus = 3\n")
    assert load_cluster("new", own).stage("activations").gpus == 0


def test_own_profiles_come_before_shipped_ones(tmp_path: Path, own: dict[str, str]) -> None:
    write(tmp_path, "testbed", 'description = "mine"')
    assert load_cluster("testbed", own).description == "mine"
    assert available(own)["testbed"].parent == tmp_path
    assert "lumi-g" in available(own)


def test_all_problems_are_told_at_once(tmp_path: Path, own: dict[str, str]) -> None:
    write(tmp_path, "bad", 'partition = "x"\n[limits]\nmax_array_size = 1\n[stages.rums]\ncpus = 1')
    with pytest.raises(ConfigError) as caught:
        load_cluster("bad", own)
    assert len(caught.value.problems) == 3
    assert all(word in str(caught.value) for word in ("partition", "max_array_size", "rums"))


@pytest.mark.parametrize("text", ["defaults = 3", "stages = 3", "[stages]\nruns = 3"])
def test_what_is_no_table_is_told(tmp_path: Path, own: dict[str, str], text: str) -> None:
    write(tmp_path, "mine", text)
    with pytest.raises(ConfigError, match=text.split()[0].strip("[]")):
        load_cluster("mine", own)


def test_unknown_names_are_answered_with_near_ones(own: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="lumi-g"):
        load_cluster("lumig", own)


def test_files_that_cannot_be_read_are_named(tmp_path: Path, own: dict[str, str]) -> None:
    (tmp_path / "broken.toml").write_text("name = ")
    with pytest.raises(ConfigError, match=r"(?s)broken\.toml.*does not parse"):
        load_cluster("broken", own)
    with pytest.raises(ConfigError, match="does not exist"):
        load_cluster(str(tmp_path / "absent.toml"), own)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"workers = {'9' * 5000}", "limit (4300 digits)"),
        (f"workers = {'9' * 40}", "at most 19 digits"),
        (f"{'a.' * 70}b = 1", "more than 64 parts"),
        ("stages.metrics = true", "stages.metrics"),
        ("stages.runs = 2020-01-01", "stages.runs"),
    ],
)
def test_profiles_that_no_parser_should_meet_are_told(
    tmp_path: Path, own: dict[str, str], text: str, told: str
) -> None:
    (tmp_path / "odd.toml").write_text(f'{text}\nname = "odd"\nscheduler = "local"\n')
    with pytest.raises(ConfigError, match=re.escape(told)):
        load_cluster("odd", own)


def test_a_pipe_in_the_place_of_a_profile_is_not_waited_for(
    tmp_path: Path, own: dict[str, str]
) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(ConfigError, match="not a file"):
        load_cluster("pipe", own)


def test_resolved_expands_on_the_login_node_only(tmp_path: Path, own: dict[str, str]) -> None:
    write(
        tmp_path, "mine",
        '[paths]\nscratch = "$SCRATCH/a"\nnode_tmp = "$TMPDIR"\n'
        '[container]\nbinds = ["$SCRATCH:/data"]\n[environment]\nX = "${SCRATCH}!"',
    )  # fmt: skip
    cluster = resolved(load_cluster("mine", own), {"SCRATCH": "/s"})
    assert cluster.paths.scratch == "/s/a"
    assert cluster.paths.node_tmp == "$TMPDIR"
    assert cluster.container is not None
    assert cluster.container.binds == ("/s:/data",)
    assert cluster.environment == {"X": "/s!"}


def test_resolved_lists_unset_variables() -> None:
    with pytest.raises(ConfigError, match="SCRATCH is not set"):
        resolved(load_cluster("leonardo", {}), {})


def test_resolved_checks_what_a_variable_holds(tmp_path: Path, own: dict[str, str]) -> None:
    write(tmp_path, "mine", '[paths]\nscratch = "$SCRATCH/a"')
    for value in ("relative", "/a\nrm -rf x", "/a:b"):
        with pytest.raises(ConfigError):
            resolved(load_cluster("mine", own), {"SCRATCH": value})


def test_a_merge_under_mpiexec_is_one_task(tmp_path: Path, own: dict[str, str]) -> None:
    stage = "[stages.merge]\nranks_per_node = 4\ncpus = 2\nmem_gb = 1"
    write(tmp_path, "inside", f'[mpi]\nlauncher = "mpiexec"\n{stage}')
    write(tmp_path, "outside", f'[mpi]\nlauncher = "srun"\nplugin = "pmi2"\n{stage}')
    inside = load_cluster("inside", own).sbatch_options("merge")
    outside = load_cluster("outside", own).sbatch_options("merge")
    assert (inside["ntasks-per-node"], inside["cpus-per-task"]) == ("1", "8")
    assert (outside["ntasks-per-node"], outside["cpus-per-task"]) == ("4", "2")
    assert inside["mem"] == outside["mem"] == "4096M"


def test_unknown_keys_are_answered_with_near_ones(tmp_path: Path, own: dict[str, str]) -> None:
    write(tmp_path, "mine", "[stages.runs]\nwalltime_minutes = 5")
    with pytest.raises(ConfigError, match=r"runs\.walltime_minutes: .*'walltime_min'"):
        load_cluster("mine", own)


def test_mpiexec_stays_on_one_node(tmp_path: Path, own: dict[str, str]) -> None:
    write(tmp_path, "mine", '[mpi]\nlauncher = "mpiexec"\n[stages.merge]\nnodes = 2')
    with pytest.raises(ConfigError, match="one node"):
        load_cluster("mine", own)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path, own: dict[str, str]) -> None:
    (tmp_path / "mine.toml").write_text('\ufeffname = "mine"\nextends = "local"\n')
    assert load_cluster("mine", own).name == "mine"


def test_a_profile_is_called_what_its_file_is_called(tmp_path: Path, own: dict[str, str]) -> None:
    (tmp_path / "mine.toml").write_text('name = "yours"\nextends = "local"\n')
    with pytest.raises(ConfigError, match=r"name = 'yours', and the file is called mine\.toml"):
        load_cluster("mine", own)


def test_a_mistake_that_all_stages_inherit_is_told_once(
    tmp_path: Path, own: dict[str, str]
) -> None:
    write(tmp_path, "mine", 'scheduler = "slurm"\n[defaults]\nwalltime_min = -1\n')
    with pytest.raises(ConfigError) as caught:
        load_cluster("mine", own)
    of_it = [line for line in caught.value.problems if "walltime_min" in line]
    assert len(of_it) == 1, caught.value.problems
    assert of_it[0].startswith("defaults.walltime_min")
