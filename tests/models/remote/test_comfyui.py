"""Workflows of ComfyUI: each item's own job and picture, every fault, and servers that are started.

The server is a stand-in; test_real_comfyui.py asks one that is there.
"""

import json
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from little_experiment import wait_for
from PIL import Image
from stub_comfyui import WORKFLOW, Comfy, made
from stub_server import NoWaiting, Stub, drawn, serving

import panic_hpc
from panic_hpc import clock
from panic_hpc.errors import ConfigError, ModelError, RemoteError
from panic_hpc.experiment import catalogue
from panic_hpc.models.base import Turn
from panic_hpc.models.families.comfyui import ComfyModel
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.planning.plan import plan_file
from panic_hpc.search.search_file import base_experiment
from panic_hpc.types import IMAGE, TEXT, ModelSpec
from panic_hpc.worker.worker import Worker, WorkerOptions
from panic_hpc.workspace.process import start_ticks
from panic_hpc.workspace.workspace import open_workspace

PROGRAM = Path(__file__).parents[2] / "support" / "servers" / "stub_comfyui.py"


@pytest.fixture
def comfy() -> Comfy:
    return Comfy()


@pytest.fixture
def stub(comfy: Comfy) -> Iterator[Stub]:
    found = Stub(routes=comfy.routes)
    with serving(found), clock.replaced(NoWaiting()):
        yield found


def loaded(stub: Stub, batch_size: int = 1, **changes: Any) -> ComfyModel:
    settings = {
        "workflow": json.dumps(WORKFLOW),
        "text": "Positive.text",
        "seed": "KSampler.seed",
        "output": "Save Image",
        "server": stub.url,
        **changes,
    }
    model = ComfyModel(ModelSpec("Flow", "comfyui", TEXT, IMAGE, "", "", "", batch_size, settings))
    model.load("cpu")
    return model


def expected(text: str, seed: int, upload: bytes = b"", cfg: float = 7.0) -> np.ndarray:
    workflow = json.loads(json.dumps(WORKFLOW))
    workflow["3"]["inputs"] |= {"seed": seed, "cfg": cfg}
    workflow["6"]["inputs"]["text"] = text
    return made(workflow, upload)


def test_jobs_side_by_side_do_not_mix(stub: Stub, comfy: Comfy) -> None:
    model = loaded(stub, 4, pictures={"Load Object Image": "Object"}, values={"KSampler.cfg": 4.0})
    objects = [drawn("object", number) for number in range(4)]
    turns = [Turn(0, "", {"Object": one}) for one in objects]
    outputs = model.generate(list("abcd"), [1, 2, 3, 4], turns)
    for output, text, seed, one in zip(outputs, "abcd", [1, 2, 3, 4], objects, strict=True):
        assert np.array_equal(output.value, expected(text, seed, encoded_upload(one), 4.0))
    assert len(comfy.jobs) == len(comfy.uploads) == 4
    assert model.versions == {
        "comfyui_version": "0.3.0",
        "python_version": "3.11",
        "device": "cpu",
    }


def encoded_upload(picture: np.ndarray) -> bytes:
    from panic_hpc.models.remote.templates import as_png

    return as_png(picture)


def test_a_job_that_a_new_server_forgot_is_sent_again(stub: Stub, comfy: Comfy) -> None:
    comfy.forgets = 1
    (output,) = loaded(stub).generate(["a"], [1])
    assert np.array_equal(output.value, expected("a", 1))
    comfy.forgets = 10**6
    with pytest.raises(RemoteError, match="forgot a job 5 times"):
        loaded(stub).generate(["a"], [1])


@pytest.mark.parametrize("trouble", ["never done", "another's"])
def test_a_job_that_is_never_done_is_given_up_and_taken_back(
    stub: Stub, comfy: Comfy, trouble: str
) -> None:
    comfy.trouble = trouble
    with pytest.raises(RemoteError, match=r"Flow: a job .* is not done within 0\.3 s"):
        loaded(stub, timeout_s=0.3).generate(["a"], [1])
    assert comfy.deleted == ["job-0"]


TROUBLES = {
    "node error": "refused: 400 .*node_errors",
    "exception": "the workflow failed: out of paint, 3",
    "two pictures": "gave 2 pictures, where one was expected",
    "no picture": "gave 0 pictures",
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_a_workflow_fails_at_is_its_item_s_failure(
    stub: Stub, comfy: Comfy, trouble: str
) -> None:
    import re

    comfy.trouble = trouble
    (output,) = loaded(stub).generate(["a"], [1])
    assert output.value is None
    assert re.search(TROUBLES[trouble], output.problem)


def test_what_is_no_comfyui_is_said_so(stub: Stub) -> None:
    stub.routes = None
    with pytest.raises(RemoteError, match="is no ComfyUI"):
        loaded(stub)


BAD = [
    ({"text": "Positve.text"}, "no node 'Positve'. Did you mean 'Positive'"),
    ({"text": "Positive.txt"}, "'Positive' has no input 'txt'. Did you mean 'text'"),
    ({"text": "KSampler.positive"}, "is linked to another node"),
    ({"seed": "Positive.text"}, "the workflow has a text there"),
    ({"values": {"KSampler.sampler_name": [1]}}, "the workflow has a text there"),
    ({"output": "Save"}, "no node 'Save'"),
    ({"pictures": {"Positive": "Object"}}, "'Positive' has no input 'image'"),
    ({"pictures": {"Load Object Image": "Objekt"}}, "no such role; inputs has image"),
    ({"workflow": "nowhere.json"}, "no such file"),
    ({"workflow": "window.json"}, "export it in API form"),
    ({"server": "8188"}, "http:// or https:// and a host"),
    ({"text": ""}, "every item would be asked alike"),
    ({"text": "", "pictures": {"Load Object Image": "file:in/a.png"}}, "would be asked alike"),
    ({"pictures": {"Load Object Image": "file:../a.png"}}, "outside the experiment's folder"),
    ({"pictures": {"Load Object Image": "file:/etc/hosts"}}, "outside the experiment's folder"),
    ({"pictures": {"Load Object Image": "file:out.png"}}, "outside the experiment's folder"),
    ({"pictures": {"Load Object Image": "file:none.png"}}, "No such file"),
    ({"pictures": {"Load Object Image": "file:in"}}, "not a file"),
    ({"pictures": {"Load Object Image": "file:flow.json"}}, "it is no PNG, JPEG, WebP or AVIF"),
    (
        {"pictures": {"Load Object Image": f"sha256:{'0' * 64}:/etc/hosts"}},
        "it is another file by now",
    ),
]


def plan(tmp_path: Path, url: str, **changes: Any) -> ExperimentPaths:
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "flow.json").write_text(json.dumps(WORKFLOW, indent=1))
    (tmp_path / "window.json").write_text('{"nodes": [], "links": []}')
    (tmp_path / "in").mkdir(exist_ok=True)
    for name in "ab":
        Image.fromarray(drawn(name, 0)).save(tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "prompts.csv").write_text("name,text\na,red\nb,blue\n")
    if not (tmp_path / "out.png").is_symlink():
        (tmp_path / "out.png").symlink_to("/etc/hosts")
    flow = {
        "family": "comfyui",
        "workflow": "flow.json",
        "text": "Positive.text",
        "seed": "KSampler.seed",
        "output": "Save Image",
        "server": url,
        **changes,
    }
    table = {
        "inputs": "in",
        "networks": [["Flow"]],
        "seeds": [1],
        "max_length": 1,
        "models": {"Flow": flow},
    }
    (tmp_path / "flow-experiment.json").write_text(json.dumps(table))
    made = plan_file(tmp_path / "flow-experiment.json", catalogue.load())
    paths = ExperimentPaths(tmp_path / "E")
    manifest.write(made, paths)
    return paths


@pytest.mark.parametrize(("changes", "told"), BAD)
def test_bad_places_are_told_at_plan(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        plan(tmp_path, "http://127.0.0.1:1", **changes)
    assert told in str(raised.value)


def test_a_sweep_through_a_server_that_the_worker_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANIC_HPC_SERVER_STUB", f"{sys.executable} {PROGRAM} {{port}}")
    values = {"KSampler.cfg": [4.0, 7.0]}
    pictures = {"Load Object Image": "image"}
    paths = plan(tmp_path, "http://127.0.0.1:8188", launch="stub", values=values, pictures=pictures)
    # The workflow is in the plan: its file is not needed any more.
    (tmp_path / "flow.json").unlink()
    workspace = open_workspace(paths.root)
    assert len(workspace.manifest.networks) == 2
    outcomes = list(Worker(workspace, WorkerOptions()).run("runs", [0, 1]))
    outcomes += Worker(workspace, WorkerOptions()).run("merge", [0])
    assert outcomes == ["completed"] * 3

    with panic_hpc.open(paths.dataset) as dataset:
        for run, (name, text, cfg) in enumerate(
            [("a", "red", 4.0), ("b", "blue", 4.0), ("a", "red", 7.0), ("b", "blue", 7.0)]
        ):
            wanted = expected(text, 1, encoded_upload(drawn(name, 0)), cfg)
            assert np.array_equal(dataset.image(run, 0), wanted)
        shard = dataset.file.array("shards/values").tobytes()
        assert b"comfyui_version" in shard


def test_pictures_of_the_experiment_s_own_files_are_swept_and_kept_with_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANIC_HPC_SERVER_STUB", f"{sys.executable} {PROGRAM} {{port}}")
    (tmp_path / "style").mkdir()
    for name in ("warm", "cold"):
        Image.fromarray(drawn(name, 7)).save(tmp_path / "style" / f"{name}.png")
    files = ["file:style/warm.png", "file:style/cold.png"]
    pictures = {"Load Object Image": files}
    paths = plan(tmp_path, "http://127.0.0.1:8188", launch="stub", pictures=pictures)
    for file in (tmp_path / "style").iterdir():
        file.unlink()
    workspace = open_workspace(paths.root)
    names = [network.models[0].name for network in workspace.manifest.networks]
    assert [name.partition("png")[0] for name in names] == [
        "Flow.Load_Object_Image-warm.",
        "Flow.Load_Object_Image-cold.",
    ]
    assert str(tmp_path).encode() not in paths.manifest.read_bytes()
    outcomes = list(Worker(workspace, WorkerOptions()).run("runs", [0, 1]))
    outcomes += Worker(workspace, WorkerOptions()).run("merge", [0])
    assert outcomes == ["completed"] * 3
    with panic_hpc.open(paths.dataset) as dataset:
        for run, (text, name) in enumerate(product(("red", "blue"), ("warm", "cold"))):
            place = run // 2 + 2 * (run % 2)
            wanted = expected(text, 1, encoded_upload(drawn(name, 7)))
            assert np.array_equal(dataset.image(place, 0), wanted)


def test_a_picture_is_known_by_its_content_wherever_it_lies(tmp_path: Path) -> None:
    def key_of(folder: str, seed: int) -> str:
        (tmp_path / folder / "own").mkdir(parents=True)
        Image.fromarray(drawn("style", seed)).save(tmp_path / folder / "own" / "a.png")
        pictures = {"Load Object Image": "file:own/a.png"}
        paths = plan(tmp_path / folder, "http://127.0.0.1:1", pictures=pictures)
        return manifest.read(paths.root).key

    assert key_of("here", 1) == key_of("there", 1) != key_of("elsewhere", 2)


def test_a_file_that_was_found_is_planned_again_from_another_folder(tmp_path: Path) -> None:
    # As rounds of a search and of a series are.
    plan(tmp_path / "there", "http://127.0.0.1:1")
    Image.fromarray(drawn("style", 1)).save(tmp_path / "there" / "a.png")
    told = json.loads((tmp_path / "there" / "flow-experiment.json").read_text())
    told["models"]["Flow"]["pictures"] = {"Load Object Image": "file:a.png"}
    (tmp_path / "there" / "flow-experiment.json").write_text(json.dumps(told))
    table = base_experiment(tmp_path / "there" / "flow-experiment.json")
    (tmp_path / "round").mkdir()
    (tmp_path / "round" / "000.json").write_text(json.dumps(table))
    here, again = (
        plan_file(path, catalogue.load()).networks[0].key
        for path in (tmp_path / "there" / "flow-experiment.json", tmp_path / "round" / "000.json")
    )
    assert here == again
    (tmp_path / "there" / "a.png").unlink()
    with pytest.raises(ConfigError, match="No such file"):
        base_experiment(tmp_path / "there" / "flow-experiment.json")


def test_a_server_ends_with_whoever_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from panic_hpc.models.remote.launching import LaunchedServer

    monkeypatch.setenv("PANIC_HPC_SERVER_STUB", f"{sys.executable} {PROGRAM} {{port}}")
    server = LaunchedServer("Flow", "stub", 60)
    (child,) = children(server._process.pid)
    # As when a worker is killed: nobody asks the server to end.
    assert server._process.stdin is not None
    server._process.stdin.close()
    wait_for(lambda: start_ticks(child) < 0, "the server's end")
    server.close()


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("", "Nothing says how the server stub is started"),
        ("sleep 9", "Nothing says how"),
        ("false {port}", "its server has ended"),
    ],
)
def test_a_server_that_cannot_be_started_is_told(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, command: str, told: str
) -> None:
    monkeypatch.setenv("PANIC_HPC_SERVER_STUB", command)
    with pytest.raises(ModelError, match=told):
        loaded(stub, launch="stub")
