"""Loops: under fixed noise a network is a deterministic map, so a repeated state proves a cycle."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class LoopFinder:
    """Watches one run; its state is (output, step modulo the length of the network).

    `start` is the first step of the loop, -1 until one is found; `length` counts its steps. Steps
    before `settled_from` prove nothing: a model is steered for a while, and another then.
    """

    network_length: int
    settled_from: int = 0
    start: int = -1
    length: int = 0
    # About 150 bytes a step and run, kept in memory.
    _first_steps: dict[tuple[str, int], int] = field(default_factory=dict)

    def see(self, step: int, digest: str) -> bool:
        """Take note of the output of `step`; True where a loop is known by now."""
        if step < self.settled_from:
            return False
        # Step modulo length, since equal outputs at two places of a network are read by two models.
        first = self._first_steps.setdefault((digest, step % self.network_length), step)
        if first < step and self.start < 0:
            self.start, self.length = first, step - first
        return self.start >= 0
