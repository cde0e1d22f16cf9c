"""The template of an Indexed Job: its very command line, with the variable that such a Job sets.

No cluster is asked: what Kubernetes makes of the rest of the file is not tested.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import needs
from little_experiment import plan_little

from panic_hpc.paths import ExperimentPaths, shipped_configs
from panic_hpc.workspace.workspace import open_workspace

yaml = needs.library("yaml", "search")
TEMPLATE = shipped_configs() / "kubernetes" / "stage.yaml"


def template() -> dict[str, Any]:
    return dict(yaml.safe_load(TEMPLATE.read_text()))


def run_pod(root: Path, stage: str, index: int) -> subprocess.CompletedProcess[str]:
    """Run what the template's container would, its values set as its comments say."""
    (container,) = template()["spec"]["template"]["spec"]["containers"]
    own = {one["name"]: one["value"] for one in container["env"]}
    assert {"EXPERIMENT", "STAGE"} <= own.keys()
    environment = {
        **os.environ,
        **own,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "EXPERIMENT": str(root),
        "STAGE": stage,
        # What the Job's controller sets in every pod of an Indexed Job.
        "JOB_COMPLETION_INDEX": str(index),
    }
    words = [*container["command"], *container["args"]]
    return subprocess.run(
        words, env=environment, text=True, capture_output=True, timeout=240, check=False
    )


def test_the_templates_command_works_on_the_shard_of_its_pod(tmp_path: Path) -> None:
    root = plan_little(tmp_path / "EXP with blanks")
    paths, shards = ExperimentPaths(root), open_workspace(root).shards("runs")
    assert len(shards) > 1
    done = run_pod(root, "runs", 1)
    assert done.returncode == 0, done.stderr
    assert [paths.shard(shard).exists() for shard in shards] == [k == 1 for k in range(len(shards))]
    # A pod that is started again finds its shard done.
    assert run_pod(root, "runs", 1).returncode == 0
    beyond = run_pod(root, "runs", len(shards))
    assert beyond.returncode == 1
    assert f"The last is number {len(shards) - 1}" in beyond.stderr


def test_a_pod_that_goes_on_later_is_not_a_failure_and_one_that_failed_is() -> None:
    spec = template()["spec"]
    assert spec["completionMode"] == "Indexed"
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["values"]) == ("Ignore", [85, 143])
    assert spec["template"]["spec"]["restartPolicy"] == "Never", "the policy needs it"
