"""Submit and survey 10,000 shards a stage, with a stand-in for Slurm's commands.

    python tools/bench_execution.py [--shards N]

Prints seconds and the number of sbatch calls. What is measured is ours: planning the arrays,
submitit's files, the ledger, and reading it all again; the commands themselves answer at once.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ratios import record

EXPERIMENT = """
name = "scale"
networks = [["DummyT2I", "DummyI2T"]]
prompts = ["a red circle", "a blue square"]
seed_count = {seeds}
embedding_models = ["DummyText"]
max_length = 10
"""
MAX_ARRAY_SIZE = 1001
SBATCH = """#!/bin/sh
n=$(($(cat {state} 2>/dev/null || echo 0) + 1)); echo $n > {state}
name=$(sed -n 's/^#SBATCH --job-name=//p' "$1"); array=$(sed -n 's/^#SBATCH --array=//p' "$1")
echo "$n|${{array:-N/A}}|PENDING||$name|Priority" >> {queue}
echo "Submitted batch job $n"
"""
COMMANDS = {
    "sbatch": SBATCH,
    "squeue": "#!/bin/sh\ncat {queue}\n",
    "scontrol": "#!/bin/sh\necho 'MaxArraySize = {size}'\n",
    "srun": "#!/bin/sh\nexit 1\n",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=10_000)
    shards = parser.parse_args().shards
    with tempfile.TemporaryDirectory(prefix="bench-execution-") as folder:
        measure(Path(folder), shards)


def measure(folder: Path, shards: int) -> None:
    """Plan, submit and ask for the status in `folder`."""
    environment = with_commands(folder)
    file = folder / "experiment.toml"
    file.write_text(EXPERIMENT.format(seeds=shards * 2))
    timed("plan", environment, "plan", file, folder / "EXP", "--runs-per-shard", "4")
    print(f"status before, {shards} shards of runs:")
    timed("status", environment, "status", folder / "EXP")
    submit = ("submit", folder / "EXP", "--cluster", "testbed", "--yes", "--stage", "runs")
    timed("submit", environment, *submit)
    calls = int((folder / "state").read_text())
    fewest = -(-shards // MAX_ARRAY_SIZE)
    print(f"  sbatch calls: {calls} (fewest possible with MaxArraySize {MAX_ARRAY_SIZE}: {fewest})")
    record("sbatch calls ÷ fewest possible", calls / fewest, "≤ 1")
    print("status while all are in the queue:")
    timed("status", environment, "status", folder / "EXP")
    publish_half(folder / "EXP", shards)
    print("status with half of them published:")
    timed("status", environment, "status", folder / "EXP")


def with_commands(folder: Path) -> dict[str, str]:
    """Write the stand-ins and return an environment that finds them first."""
    programs = folder / "bin"
    programs.mkdir()
    facts = {"state": folder / "state", "queue": folder / "queue", "size": MAX_ARRAY_SIZE}
    for name, text in COMMANDS.items():
        (programs / name).write_text(text.format(**facts))
        (programs / name).chmod(0o755)
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}


def timed(label: str, environment: dict[str, str], *arguments: str | Path) -> None:
    """Run a command of ours, print how long it took, end with its words where it failed."""
    command = [sys.executable, "-m", "panic_hpc", *map(str, arguments)]
    began, before = time.perf_counter(), os.times()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{label} failed: {done.stderr or done.stdout}")
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    print(f"  {label}: {seconds:.2f} s ({cpu:.2f} s of processor time)")


def publish_half(root: Path, shards: int) -> None:
    """Put files where every second shard would be: status looks at names alone."""
    directory = root / "shards" / "runs"
    directory.mkdir(parents=True)
    for number in range(0, shards, 2):
        (directory / f"runs_{number:05d}.h5").touch()


if __name__ == "__main__":
    main()
