"""What a GPU gives and what it waits for: full-size models with random weights, nothing downloaded.

python tools/bench_gpu.py [--models NAME…] [--batches 1,8,16,32,64] [--steps 20] [--out FILE.json]
python tools/bench_gpu.py --tiny --device cpu          the same code with models of a few kilobytes

For each model: items a second by batch size, called alone, and what of the device's measured matrix
rate that is. For each pair of a pipeline and a captioner: completed steps an hour through the runs
stage, through a bare loop over the same calls, and one run at a time; `stage ÷ bare` is what the
package adds. `models check` is made first. Where pynvml is installed, how busy the card was, and
joules an item. Then two layouts of one experiment, one of them killed, must give the same digests;
and a device-side assert must be known as sticky and leave a fresh process unharmed.

Weights go to a temporary folder (--folder), up to 34 GB for the largest model.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench_stages import bare_runs, stage
from full_size import CAPTIONERS, MODELS, PIPELINES

from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.models import loading
from panic_hpc.models.checks import records
from panic_hpc.models.checks.trial import CheckRequest, check
from panic_hpc.models.hub.cache import cache_directory
from panic_hpc.models.numerics import numerics_class
from panic_hpc.models.torch_setup import fix_threads, torch_for
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.planning.manifest import Manifest
from panic_hpc.planning.plan import PlanOptions, make_plan
from panic_hpc.store.format.shard import open_shard
from panic_hpc.types import RUNS

Table = dict[str, Any]

ASSERT = """
import sys
from panic_hpc.models.device.errors import find_sticky
from panic_hpc.models.torch_setup import torch_for
torch = torch_for("cuda")
try:
    torch.zeros(4, device="cuda")[torch.tensor([9], device="cuda")].cpu()
except Exception as error:
    print(type(error).__name__, find_sticky(error))
    sys.exit(0 if find_sticky(error) else 1)
sys.exit(2)
"""


class Checkpoints:
    """Folders of the models asked for, each saved once."""

    def __init__(self, root: Path, options: argparse.Namespace) -> None:
        self.root = root
        self.options = options

    def table(self, name: str, batch_size: int) -> Table:
        """Return the table of a model in an experiment."""
        model = MODELS[name]
        settings = {**model.settings, **(model.tiny if self.options.tiny else {})}
        dtype = "float32" if self.options.tiny else "bfloat16"
        path = self._saved(name)
        label = {"family": model.family, "path": str(path), "dtype": dtype}
        compiled = {"compile": True} if self.options.compile and name in PIPELINES else {}
        return {**label, "batch_size": batch_size, "seconds": 1.0, **settings, **compiled}

    def _saved(self, name: str) -> Path:
        folder = self.root / name
        if not folder.exists():
            torch = torch_for(self.options.device)
            if not self.options.tiny:
                torch.set_default_dtype(torch.bfloat16)
            # On the device, since drawing twelve thousand million numbers takes a host minutes.
            with torch.device(self.options.device):
                torch.manual_seed(7)
                MODELS[name].save(folder, self.options.tiny)
            torch.set_default_dtype(torch.float32)
        return folder


def planned(
    root: Path, names: Sequence[str], tables: Table, n_runs: int, steps: int, per_shard: int = 0
) -> Manifest:
    """Plan `n_runs` runs of one network of `names` under per-step noise."""
    experiment = Experiment.model_validate(
        {
            "networks": [list(names)],
            "embedding_models": ["DummyText"],
            "prompts": ["a red circle on a grey moon"],
            "seeds": list(range(n_runs)),
            "noise": "per_step",
            "max_length": steps,
            "models": tables,
        }
    )
    plan = make_plan(experiment, catalogue.load(), PlanOptions(runs_per_shard=per_shard or n_runs))
    return manifest.write(plan, ExperimentPaths(root))


def seconds(function: Callable[[], Any]) -> float:
    """Return what one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


class Card:
    """The card's own counters, by NVML; nothing where there is none."""

    def __init__(self) -> None:
        try:
            import pynvml  # type: ignore[import-not-found, import-untyped, unused-ignore]

            pynvml.nvmlInit()
            self._nvml: Any = pynvml
            self._handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        except Exception:
            self._nvml = None

    @contextmanager
    def watched(self, into: Table) -> Iterator[None]:
        """Add `joules` of the body and `busy` (share of the time a kernel ran) to `into`."""
        if self._nvml is None:
            yield
            return
        ended, seen = threading.Event(), list[float]()
        thread = threading.Thread(target=self._sample, args=(ended, seen))
        before = self._joules()
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        after = self._joules()
        if seen:
            into["busy"] = round(sum(seen) / len(seen) / 100, 3)
        if before is not None and after is not None:
            into["joules"] = round(after - before, 1)

    def _sample(self, ended: threading.Event, into: list[float]) -> None:
        while not ended.wait(0.1):
            into.append(float(self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu))

    def _joules(self) -> float | None:
        try:
            return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000
        except self._nvml.NVMLError:
            return None


def matrix_rate(options: argparse.Namespace) -> float:
    """Return the measured TFLOP/s of one large product in the models' dtype."""
    torch = torch_for(options.device)
    size = 256 if options.tiny else 8192
    dtype = torch.float32 if options.tiny else torch.bfloat16
    a = torch.ones(size, size, dtype=dtype, device=options.device)

    def product() -> None:
        for _ in range(10):
            a @ a
        # Waits for the device.
        a[0, 0].item()

    product()
    return 10 * 2 * size**3 / seconds(product) / 1e12


def alone(name: str, batch_size: int, checkpoints: Checkpoints, card: Card) -> Table:
    """Return how a model does by itself at one batch size: its median call of three."""
    options = checkpoints.options
    spec = spec_of(name, batch_size, checkpoints)
    [model] = loading.load_all([spec], options.device)
    inputs = inputs_of(spec.consumes, batch_size, options)

    def call() -> None:
        if hasattr(model, "embed"):
            model.embed(inputs)
        else:
            model.generate(inputs, list(range(batch_size)))

    first = seconds(call)
    found: Table = {"model": name, "batch": batch_size, "first_call_s": round(first, 3)}
    with card.watched(found):
        times = sorted(seconds(call) for _ in range(3))
    found |= {"call_s": round(times[1], 4), "items_per_s": round(batch_size / times[1], 2)}
    if "joules" in found:
        found["joules_per_item"] = round(found.pop("joules") / 3 / batch_size, 3)
    return found | share_of_matrix_rate(call, times[1], options)


def share_of_matrix_rate(
    call: Callable[[], None], call_s: float, options: argparse.Namespace
) -> Table:
    """Return the operations of one call, counted by torch, and the share of the matrix rate."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        call()
    tflop = counter.get_total_flops() / 1e12
    share = tflop / call_s / options.rate
    return {"tflop": round(tflop, 4), "share_of_matrix_rate": round(share, 3)}


def spec_of(name: str, batch_size: int, checkpoints: Checkpoints) -> Any:
    """Return a model as a plan describes it."""
    partner = "DummyI2T" if name in PIPELINES else "DummyT2I"
    network = [name, partner] if name in PIPELINES else [partner, name]
    is_embedding = name not in PIPELINES and name not in CAPTIONERS
    experiment = Experiment.model_validate(
        {
            "networks": [["DummyT2I", "DummyI2T"] if is_embedding else network],
            "embedding_models": [name if is_embedding else "DummyText"],
            "prompts": ["a"],
            "seeds": [1],
            "max_length": 2,
            "models": {name: checkpoints.table(name, batch_size)},
        }
    )
    plan = make_plan(experiment, catalogue.load())
    found = plan.embedding_models if is_embedding else plan.networks[0].models
    return next(spec for spec in found if spec.name == name)


def inputs_of(modality: str, batch_size: int, options: argparse.Namespace) -> list[Any]:
    """Return what a model is called with: a prompt of 30 letters, or pictures of noise."""
    import numpy as np

    if modality == "text":
        return [f"a red circle on a grey moon {place:2}" for place in range(batch_size)]
    side = 32 if options.tiny else 512
    rng = np.random.default_rng(1)
    return list(rng.integers(0, 256, (batch_size, side, side, 3), np.uint8))


def together(
    names: Sequence[str], batch_size: int, checkpoints: Checkpoints, root: Path, card: Card
) -> Table:
    """Return how a network does: the runs stage, a bare loop, and one run at a time."""
    options = checkpoints.options
    found: Table = {"network": "→".join(names), "batch": batch_size}
    root = root / f"{'-'.join(names)}-{batch_size}"
    tables = {name: checkpoints.table(name, batch_size) for name in names}
    steps = options.steps
    plan = planned(root / "all", names, tables, batch_size, steps)
    one_tables = {name: checkpoints.table(name, 1) for name in names}
    one = planned(root / "one", names, one_tables, 1, max(2, steps // 4))
    models = loading.load_all(plan.networks[0].models, options.device)
    bare_runs(planned(root / "warm", names, tables, batch_size, 2), models)
    bare_s = seconds(lambda: bare_runs(plan, models))
    with card.watched(found):
        stage_s = seconds(lambda: stage(RUNS, plan, root / "all", options.device))
    models = loading.load_all(one.networks[0].models, options.device)
    one_s = seconds(lambda: bare_runs(one, models))
    n_steps = batch_size * steps
    return found | {
        "steps_per_hour": round(3600 * n_steps / stage_s),
        "bare_steps_per_hour": round(3600 * n_steps / bare_s),
        "one_at_a_time_steps_per_hour": round(3600 * max(2, steps // 4) / one_s),
        "stage_to_bare": round(stage_s / bare_s, 3),
    }


def checked(name: str, batch_size: int, checkpoints: Checkpoints) -> Table:
    """Return what `panic-hpc models check` finds, and keep it: compiled models ask for it."""
    options = checkpoints.options
    spec = spec_of(name, batch_size, checkpoints)
    outcomes = check(spec, CheckRequest("bits", options.device, sweep=not options.tiny))
    records.keep(spec, "bits", numerics_class(options.device), outcomes, cache_directory())
    return {
        "model": name,
        "batch": batch_size,
        "outcomes": {one.question: one.answer for one in outcomes},
    }


def two_layouts(names: Sequence[str], checkpoints: Checkpoints, root: Path) -> Table:
    """Run one experiment whole, and cut into shards by a worker that is killed; compare digests."""
    tables = {name: checkpoints.table(name, 2) for name in names}
    digests = []
    for label, per_shard, kills in (("whole", 8, 0), ("cut", 2, 2)):
        plan = planned(root / label, names, tables, 8, 6, per_shard)
        command = [sys.executable, "-m", "panic_hpc", "worker", str(root / label), RUNS]
        environment = {**os.environ, "PANIC_HPC_DEVICE": checkpoints.options.device}
        for _ in range(kills):
            _killed(command, environment, root / label)
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        digests.append(_digests(plan, root / label))
    return {"network": "→".join(names), "runs": len(digests[0]), "equal": digests[0] == digests[1]}


def _killed(command: Sequence[str], environment: dict[str, str], root: Path) -> None:
    """Kill a worker with SIGKILL once its checkpoint has grown, or when it ends by itself."""
    folder = root / "checkpoints"
    before = _bytes_in(folder)
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and _bytes_in(folder) <= before + 1000:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)


def _bytes_in(folder: Path) -> int:
    # A journal may be renamed between the listing and the look.
    return sum(path.stat().st_size for path in folder.glob("*.journal") if path.exists())


def _digests(plan: Manifest, root: Path) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for shard in sorted((root / "shards" / RUNS).glob("*.h5")):
        with open_shard(shard, manifest_key=plan.key) as file:
            keys, digests = file.array("runs/key"), file.array("runs/digest")
            found |= dict(zip(map(bytes, keys), map(bytes, digests), strict=True))
    return found


def sticky_error(device: str) -> Table:
    """Provoke a device-side assert in a process of its own; another must be unharmed."""
    if not device.startswith("cuda"):
        return {"tried": False, "why": "there is no GPU"}
    done = subprocess.run(
        [sys.executable, "-c", ASSERT], capture_output=True, text=True, check=False
    )
    after = "import torch; torch.ones(8, device='cuda').sum().item()"
    fresh = subprocess.run([sys.executable, "-c", after], check=False)
    told = done.stdout.strip()
    return {
        "tried": True,
        "known": done.returncode == 0,
        "told": told,
        "fresh": not fresh.returncode,
    }


def described(options: argparse.Namespace) -> Table:
    """Return where and with what this was measured."""
    from panic_hpc.versions import versions_of

    torch = torch_for(options.device)
    is_gpu = options.device.startswith("cuda")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": torch.cuda.get_device_name(0) if is_gpu else platform.processor() or "cpu",
        "cores": len(os.sched_getaffinity(0)),
        "tiny": options.tiny,
        "matrix_tflops": round(options.rate, 2),
        "libraries": versions_of(("torch", "diffusers", "transformers", "sentence-transformers")),
    }


def tried(label: str, function: Callable[[], Table]) -> Table:
    """Return what `function` found, or why it could not: the others are still worth measuring."""
    try:
        found = function()
    except Exception as error:
        found = {"what": label, "not_measured": f"{type(error).__name__}: {error}"[:300]}
    print(json.dumps(found, ensure_ascii=False), flush=True)
    return found


def measure(options: argparse.Namespace, root: Path) -> Table:
    """Measure all that was asked for."""
    fix_threads(1)
    options.rate = matrix_rate(options)
    checkpoints, card = Checkpoints(root / "weights", options), Card()
    result: Table = {"where": tried("where", lambda: described(options))}
    result["checks"] = [
        tried(f"check of {name} at {size}", partial(checked, name, size, checkpoints))
        for name in options.models
        # The runs stage asks for a compiled model's check, which is one of its batch size too.
        for size in (
            options.batches if MODELS[name].settings.get("compile") else [max(options.batches)]
        )
    ]
    result["alone"] = [
        tried(f"{name} at {size}", partial(alone, name, size, checkpoints, card))
        for name in options.models
        for size in options.batches
    ]
    pairs = [
        (pipeline, captioner)
        for pipeline in options.models
        for captioner in options.models
        if pipeline in PIPELINES and captioner in CAPTIONERS
    ]
    result["together"] = [
        tried(f"{pair} at {size}", partial(together, pair, size, checkpoints, root, card))
        for pair in pairs
        for size in options.batches
        if size > 1
    ]
    # No model of ours may hold the card while other processes work on it.
    loading.load_all([], options.device)
    result["two_layouts"] = [
        tried(f"{pair} in layouts", partial(two_layouts, pair, checkpoints, root / "layouts"))
        for pair in pairs[:1]
    ]
    result["sticky"] = tried("sticky", lambda: sticky_error(options.device))
    return result


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=list(MODELS))
    parser.add_argument("--batches", type=_numbers, default=[1, 8, 16, 32, 64])
    parser.add_argument("--steps", type=int, default=20, help="of each run, for pairs of models")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="models of a few kilobytes")
    parser.add_argument("--compile", action="store_true", help="pipelines' denoiser and VAE too")
    parser.add_argument("--folder", type=Path, help="for the weights, 34 GB at most a model")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    return parser.parse_args(given)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main(given: Sequence[str] | None = None) -> Table:
    """Measure, print a line of JSON for each figure, and write all of it to --out."""
    options = arguments(given)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        # Records of checks of random weights are nobody's.
        os.environ["HF_HUB_CACHE"] = f"{folder}/hub"
        result = measure(options, Path(folder))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return result


if __name__ == "__main__":
    main()
