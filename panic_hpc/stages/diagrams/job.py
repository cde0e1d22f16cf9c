"""One job's work on a diagrams shard: what the journal lacks, the largest first."""

import math
from collections.abc import Iterator
from functools import partial

from panic_hpc import clock
from panic_hpc.stages.base import Context
from panic_hpc.stages.diagrams.clouds import Clouds, RunCloud
from panic_hpc.stages.diagrams.estimate import pays_a_pool
from panic_hpc.stages.diagrams.one_diagram import Diagram, DiagramSettings, compute, died
from panic_hpc.stages.diagrams.restarting_pool import each
from panic_hpc.stages.diagrams.shard_arrays import recorded, results
from panic_hpc.stages.diagrams.stops import had_the_job, is_final, safety_stops
from panic_hpc.stages.journalled import interrupted
from panic_hpc.stages.throttle import Throttle
from panic_hpc.store.journal import Journal
from panic_hpc.types import DIAGRAMS

GRACE_S = 10.0
"""How long diagrams that run may take to end after a signal or a halt file; Slurm gives 30 s."""


class DiagramsJob:
    """Computes diagrams and keeps the books; a shift that ends early raises Interrupted."""

    def __init__(
        self, context: Context, settings: DiagramSettings, clouds: Clouds, journal: Journal
    ) -> None:
        self._context = context
        self._settings = settings
        self._clouds = clouds
        self._journal = journal
        self._began = clock.now()
        self._pace = Throttle(context.checkpoint_s)
        self._slowest = 0.0
        self._reason = ""
        self._patience = math.inf
        self._done = {record.value["position"] for record in results(journal)}
        self._too_large: set[int] = set()

    def work(self) -> None:
        """Compute all that is lacking: side by side first, then alone what was too large for it."""
        self._report()
        sizes = list(self._sizes().values())
        side_by_side = pays_a_pool(sizes, self._clouds.vector_size, self._settings)
        self._through(max(1, self._context.cpus) if side_by_side else 1)
        if self._too_large and not self._reason:
            self._too_large.clear()
            self._through(1)
        self._journal.commit()
        if len(self._done) < len(self._clouds.indices):
            reason = self._reason or self._context.should_stop(math.inf) or "the walltime has ended"
            raise interrupted(DIAGRAMS, reason)

    def _through(self, n_processes: int) -> None:
        context = self._context
        stops = safety_stops(context.deadline, context.memory_bytes, n_processes)
        function = partial(compute, self._settings, stops)
        tasks = self._tasks()
        for cloud, found in each(function, tasks, n_processes, self._may_begin, self._look):
            self._take(cloud, died(cloud) if found is None else found, n_processes == 1)

    def _tasks(self) -> Iterator[RunCloud]:
        # The longest first: begun last, one would run alone while all other cores wait.
        for position, _ in sorted(self._sizes().items(), key=lambda item: (-item[1], item[0])):
            yield self._clouds.read(position)

    def _sizes(self) -> dict[int, int]:
        """Return about how many points each run has whose diagram is lacking, by position."""
        lacking = set(range(len(self._clouds.indices))) - self._done
        return {position: self._clouds.size(position) for position in lacking}

    def _take(self, cloud: RunCloud, diagram: Diagram, is_alone: bool) -> None:
        self._slowest = max(self._slowest, diagram.elapsed)
        if had_the_job(diagram, clock.now() - self._began):
            self._journal.append({"position": cloud.position, "attempt": diagram.stopped_by})
        if is_final(diagram, self._attempts(cloud.position), is_alone=is_alone):
            self._journal.append(*recorded(cloud.position, diagram))
            self._done.add(cloud.position)
        elif diagram.stopped_by == "memory":
            self._too_large.add(cloud.position)
        if self._pace.is_due():
            self._journal.commit()
        self._report()

    def _attempts(self, position: int) -> int:
        values = (record.value for record in self._journal.records)
        return sum("attempt" in value and value["position"] == position for value in values)

    def _may_begin(self) -> bool:
        """Whether another diagram as slow as the slowest would end in time."""
        self._reason = self._reason or self._asked() or self._context.should_stop(self._slowest)
        return not self._reason

    def _asked(self) -> str:
        """Return why the work must end now; what runs then has a moment left."""
        if reason := self._context.should_stop(0.0):
            self._patience = clock.monotonic() + GRACE_S
        return reason

    def _look(self) -> None:
        self._reason = self._reason or self._asked()
        if clock.monotonic() > self._patience:
            self._journal.commit()
            raise interrupted(DIAGRAMS, self._reason)

    def _report(self) -> None:
        self._context.report(len(self._done), len(self._clouds.indices))
