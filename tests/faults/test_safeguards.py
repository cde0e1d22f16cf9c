"""The table of safeguards: what it names is there; `make faults` takes each out."""

import os
from pathlib import Path

import pytest
import try_safeguards
from try_safeguards import ROOT, Safeguard, fails_without, safeguards

SAFEGUARDS = safeguards()
NOT_TRIED = pytest.mark.skip(reason="needs PANIC_HPC_FAULT_SAFEGUARDS=1, which make faults sets")
TRIED = SAFEGUARDS if os.environ.get("PANIC_HPC_FAULT_SAFEGUARDS") else []
"""Each costs a run of its test, so only `make faults` tries them."""


@pytest.mark.parametrize("one", SAFEGUARDS, ids=lambda one: one.keeps)
def test_a_safeguard_is_where_the_table_says_and_so_is_its_test(one: Safeguard) -> None:
    assert one.is_found, one.file
    file, _, test = one.test.partition("::")
    assert f"def {test.partition('[')[0]}(" in (ROOT / file).read_text()


def test_the_document_has_the_table() -> None:
    document = Path(ROOT / "docs/reliability.md").read_text()
    assert try_safeguards.markdown(SAFEGUARDS) in document


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "one",
    [pytest.param(one, id=one.keeps) for one in TRIED] or [pytest.param(None, marks=NOT_TRIED)],
)
def test_without_a_safeguard_its_test_fails(one: Safeguard) -> None:
    assert fails_without(one)
    print(f"faults: caught without: {one.keeps}")
