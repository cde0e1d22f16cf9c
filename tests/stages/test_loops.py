from itertools import pairwise

import pytest

from panic_hpc.stages.runs.loops import LoopFinder


def watch(digests: str, network_length: int) -> LoopFinder:
    finder = LoopFinder(network_length)
    for step, digest in enumerate(digests):
        finder.see(step, digest)
    return finder


def test_a_repeated_state_is_a_loop() -> None:
    finder = watch("abcdefcd", 2)
    assert (finder.start, finder.length) == (2, 4)


def test_the_same_output_of_another_model_is_no_loop() -> None:
    finder = watch("abca", 2)
    assert (finder.start, finder.length) == (-1, 0)


def test_the_first_repetition_counts() -> None:
    finder = watch("xabababab", 1)
    assert (finder.start, finder.length) == (1, 2)


@pytest.mark.parametrize("network_length", [1, 2, 3, 4])
def test_the_first_loop_of_a_deterministic_map_is_its_cycle(network_length: int) -> None:
    """Follow a map on 50 states with a place in the network; compare with a walk of it."""
    import random

    rng = random.Random(network_length)
    table = {(s, p): rng.randrange(50) for s in range(50) for p in range(network_length)}
    states = [0]
    for step in range(600):
        states.append(table[states[-1], step % network_length])
    outputs = states[1:]
    finder = LoopFinder(network_length)
    stop = next(step for step, output in enumerate(outputs) if finder.see(step, str(output)))
    assert stop == finder.start + finder.length
    assert finder.length % network_length == 0
    later = outputs[finder.start :]
    assert all(a == b for a, b in zip(later, later[finder.length :], strict=False))
    assert len(list(pairwise(later))) > finder.length


def test_repeats_before_the_network_is_settled_are_no_loop() -> None:
    finder = LoopFinder(1, settled_from=3)
    outputs = ["a", "a", "a", "b", "a", "b"]
    assert [finder.see(step, digest) for step, digest in enumerate(outputs)].index(True) == 5
    assert (finder.start, finder.length) == (3, 2)
