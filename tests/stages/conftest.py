from collections.abc import Iterator

import pytest
from plugins import HONEST_FAMILY, plugin_file


@pytest.fixture
def spelling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the family of Painter, Namer and Lengths as a throw-away file."""
    folder = tmp_path_factory.mktemp("plugins")
    with plugin_file("panic_hpc.models.families", folder, "spelling", HONEST_FAMILY):
        yield
