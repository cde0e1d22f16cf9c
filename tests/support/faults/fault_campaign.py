"""Inject every fault into every workload and judge what is left; one line of JSON a workload.

Started with the library of failing_calls.cpp preloaded:

    fault_campaign.py FOLDER [LIMIT] [SHARE] [KIND…]

LIMIT is how many of a fault's places are tried in a workload, drawn by seed; 0 tries all of them.
Where there is a limit, one number of the error is tried of those that a kind of call may have, but
all of them where a workload has fewer than LIMIT such calls; and of the faults that are not
`ALWAYS` met one in SHARE, others in each workload.
"""

import json
import os
import random
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import fault_workloads as workloads
from fault_injection import ALL_KINDS, FAULTS, NEVER, Ended, Fault, disturbed, twins
from fault_workloads import WORKLOADS, Workload
from upstream_databases import Writer

from panic_hpc.errors import PanicError
from panic_hpc.health.experiment import verify_experiment
from panic_hpc.health.inconsistencies import inspect
from panic_hpc.health.repair import movable, quarantine
from panic_hpc.store.checks.sampling import ALL
from panic_hpc.workspace.failures import read_failure
from panic_hpc.workspace.leases import holder
from panic_hpc.workspace.ledger import read_ledger
from panic_hpc.workspace.workspace import open_workspace

FAR_FUTURE = 2.0**32
NO_FAULT = Fault("none", ALL_KINDS)
ALWAYS = {"short write", "torn write, killed", "killed", "disk dead for ever"}
"""Faults that every workload meets, and a failing write beside them."""


@dataclass
class Tally:
    """What came of the injections into one workload.

    `counts` has, by fault, how the work ended; `repaired` how often doctor had to help; `wrong`
    one entry an injection after which something was lost, wrong, or ended in a traceback.
    """

    kind: str
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    repaired: int = 0
    wrong: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """Return it as one line."""
        return json.dumps({**vars(self), "counts": {k: dict(v) for k, v in self.counts.items()}})


def campaign(folder: Path, limit: int, share: int, kinds: list[str]) -> Iterator[Tally]:
    """Yield what came of each workload."""
    key = workloads.make_snapshots(folder)
    (folder / "upstream").mkdir()
    Writer(folder / "upstream/upstream.db", "python", n_runs=1, length=4).connection.close()
    judge = Judge(folder, key)
    for workload in WORKLOADS:
        if not kinds or workload.kind in kinds:
            tally = Tally(workload.kind)
            for fault in _faults(limit, share, workload, judge):
                for number in _places(judge.calls(workload, fault), limit, workload, fault):
                    judge.inject(workload, fault, number, tally)
            yield tally


def _faults(limit: int, share: int, workload: Workload, judge: "Judge") -> list[Fault]:
    if not limit:
        return list(FAULTS)
    chance = random.Random(workload.kind)
    drawn: list[Fault] = []
    for alike in twins(FAULTS):
        chosen = chance.choice(alike)
        is_rare = judge.calls(workload, chosen) < limit
        drawn += alike if is_rare else [chosen]
    offset = WORKLOADS.index(workload)
    others = [fault for fault in drawn if not _is_always_met(fault)][offset % share :: share]
    return [fault for fault in drawn if fault in others or _is_always_met(fault)]


def _is_always_met(fault: Fault) -> bool:
    return fault.name in ALWAYS or fault.name.startswith("write E")


def _places(calls: int, limit: int, workload: Workload, fault: Fault) -> list[int]:
    if not limit or calls <= limit:
        return list(range(1, calls + 1))
    chance = random.Random(f"{workload.kind} {fault.name}")
    return sorted(chance.sample(range(1, calls + 1), limit))


class Judge:
    """Injects into copies of the snapshots and looks at what is left."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key
        self.copy = folder / "copy"
        self.results: dict[str, dict[str, bytes]] = {}
        self._undisturbed: dict[str, Ended] = {}

    def calls(self, workload: Workload, fault: Fault) -> int:
        """Return how many calls of a fault's kinds the undisturbed work makes."""
        if workload.kind not in self._undisturbed:
            self.begin(workload)
            ended = disturbed(lambda: workload.work(self.copy), self.copy, NO_FAULT, NEVER)
            if ended.how != "done":
                raise RuntimeError(f"{workload.kind} does not work undisturbed: {ended.words}")
            self._undisturbed[workload.kind] = ended
        return self._undisturbed[workload.kind].calls_of(fault.kinds)

    def inject(self, workload: Workload, fault: Fault, number: int, tally: Tally) -> None:
        """Do the work with one fault, and judge."""
        before = self.begin(workload)
        ended = disturbed(lambda: workload.work(self.copy), self.copy, fault, number)
        if not ended.injected:
            return
        counts = tally.counts.setdefault(fault.name, Counter())
        counts[ended.how] += 1
        try:
            if ended.how == "raised":
                raise AssertionError(ended.words)
            self.judge(workload, before, tally)
        # Whatever it is, the injection is to be named.
        except Exception:
            counts["wrong"] += 1
            words = traceback.format_exc()
            tally.wrong.append(f"{workload.kind}, {fault.name}, call {number}: {words}")

    def begin(self, workload: Workload) -> dict[Path, bytes]:
        """Copy the snapshot; return what is published in it."""
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.folder / workload.begins, self.copy)
        root = self.copy / "EXP"
        return {path: (root / path).read_bytes() for path in workloads.published(root)}

    def judge(self, workload: Workload, before: dict[Path, bytes], tally: Tally) -> None:
        """Raise where what is left in the copy is wrong, or does not go on to the same content."""
        if workload.begins == "upstream":
            self._judge_import()
            return
        root = self.copy / "EXP"
        for path, content in before.items():
            is_kept = str(path) not in workload.replaces
            assert (root / path).exists(), f"{path} was lost"
            assert not is_kept or (root / path).read_bytes() == content, f"{path} was changed"
        if workload.kind == "manifest":
            workloads.plan(self.copy)
        _require_nothing_wrong(root)
        if workload.kind in workloads.EXPORTS:
            self._judge_export(workload.kind)
            return
        if workload.replaces:
            workload.work(self.copy)
        self._finish(root, tally)
        if (root / "dataset.h5").exists():
            assert workloads.content_key(root / "dataset.h5") == self.key

    def _finish(self, root: Path, tally: Tally) -> None:
        """Submit until all is done, with doctor's help where that is needed."""
        try:
            workloads.submit(self.copy)
            assert workloads.content_key(root / "dataset.h5") == self.key
        except (PanicError, AssertionError):
            workspace = open_workspace(root)
            found = list(inspect(workspace, ALL, 1.0, FAR_FUTURE, lambda done, total: None))
            quarantine(workspace, movable(found))
            tally.repaired += 1
            workloads.submit(self.copy)
            assert workloads.content_key(root / "dataset.h5") == self.key

    def _judge_export(self, form: str) -> None:
        """What is there is whole: files of an undisturbed export, byte for byte but for crates."""
        expected = self._export_of(form)
        target = self.copy / form
        there = _files(target)
        for name, content in there.items():
            assert form == "crate" or content == expected[name], f"{name} is wrong"
            assert content, f"{name} is empty"
        # Its checksums are the last file of a crate, which is written into a new directory only.
        if form == "crate":
            assert "SHA256SUMS" not in there or there.keys() == expected.keys()
            shutil.rmtree(target, ignore_errors=True)
        workloads.export(form, self.copy, force=True)
        assert _files(target).keys() == expected.keys()

    def _export_of(self, form: str) -> dict[str, bytes]:
        if form not in self.results:
            folder = self.folder / f"{form}-undisturbed"
            shutil.copytree(self.folder / "merge", folder)
            workloads.export(form, folder)
            self.results[form] = _files(folder / form)
        return self.results[form]

    def _judge_import(self) -> None:
        target = self.copy / "imported.h5"
        undisturbed = self.folder / "upstream/imported.h5"
        if not undisturbed.exists():
            workloads.import_(undisturbed.parent)
        if target.exists():
            assert workloads.content_key(target) == workloads.content_key(undisturbed)
        workloads.import_(self.copy)
        assert workloads.content_key(target) == workloads.content_key(undisturbed)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("[!.]*"))
        if path.is_file()
    }


def _require_nothing_wrong(root: Path) -> None:
    """Whatever is published is right: files verify, and records can be read."""
    for checked in verify_experiment(root, ALL, lambda done, total: None):
        assert not checked.findings, f"published and wrong: {checked.findings}"
    paths = open_workspace(root).paths
    read_ledger(paths.ledger)
    for path in paths.failed.glob("[!.]*"):
        failure = read_failure(path)
        assert failure
        assert failure.kind != "damaged record"
        assert failure.disk, f"a fault of the disk became another failure: {failure}"
    for path in paths.leases.glob("[!.]*"):
        lease, _ = holder(path)
        assert lease
        assert lease.owner.pid, f"{path} is damaged"


def main(folder: str, limit: str = "0", share: str = "1", *kinds: str) -> None:
    """Print one line of JSON a workload; what workers say goes to a file."""
    # One core: diagrams are computed in this process, and no pool of processes is started for two.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with open(Path(folder) / "said.log", "w") as log:
        real = os.fdopen(os.dup(1), "w")
        with redirect_stdout(log), redirect_stderr(log):
            for tally in campaign(Path(folder), int(limit), int(share), list(kinds)):
                print(tally.to_json(), file=real, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
