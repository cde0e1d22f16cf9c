"""How many injections of each kind a run made; tests/conftest.py prints the sums at its end."""

from collections.abc import Callable

import pytest


@pytest.fixture
def injected(request: pytest.FixtureRequest) -> Callable[[str, int], None]:
    """Count injections of a kind."""

    def count(kind: str, number: int = 1) -> None:
        # With the report, which pytest-xdist carries from its workers to the terminal.
        request.node.user_properties.append(("injected", [kind, number]))

    return count
