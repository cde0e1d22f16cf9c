"""Sharing out: every unit goes to one rank, and no rank has more than its part and one unit."""

from hypothesis import given, settings
from hypothesis import strategies as st

from panic_hpc.merging.layout import Unit, bytes_to_copy, share


def unit(number: int, nbytes: int) -> Unit:
    return Unit(0, number, "images/values", "images/values", 0, nbytes, number)


@settings(deadline=None)
@given(st.lists(st.integers(1, 8 * 2**20), max_size=60), st.integers(1, 9))
def test_bytes_are_shared_out_evenly(sizes: list[int], n_ranks: int) -> None:
    work = [unit(number, size) for number, size in enumerate(sizes)]
    total = sum(bytes_to_copy(one.nbytes) for one in work)
    shares = [list(share(iter(work), total, rank, n_ranks)) for rank in range(n_ranks)]
    assert [one for own in shares for one in own] == work
    largest = max((bytes_to_copy(size) for size in sizes), default=0)
    for own in shares:
        assert sum(bytes_to_copy(one.nbytes) for one in own) <= total / n_ranks + largest
