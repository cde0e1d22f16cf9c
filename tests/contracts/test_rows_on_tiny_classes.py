"""The settings of each row of data, on a tiny checkpoint of the row's class: none is refused.

Only sizes, steps, precision and lengths are made small; guidance, prompts, beams and what else a
row says must be heard by its class and change something there.
"""

from pathlib import Path
from typing import Any

import pytest
from class_contract import MARKS, class_of, json_of, spec_of
from tiny_checkpoints.classes import TinyClass, all_classes

from panic_hpc.models.known.rows import known_rows
from panic_hpc.models.loading import load

pytestmark = [*MARKS, pytest.mark.long]

ROWS = {name: row for name, row in known_rows().items() if not row[0].unavailable}
# One class, several checkpoints that differ in what they obey.
VARIANTS = {
    "FluxSchnell": "flux_schnell",
    "SDXLTurbo": "sdxl_turbo",
    "SD15": "sd15_with_checker",
    "Pixtral": "pixtral",
    "Qwen3Embed": "qwen3_embedding",
    "SDTurbo": "sd15",
    "JanusPro1BReader": "janus_reading",
    "JanusPro7BReader": "janus_reading",
    "Nomic": "nomic_experts",
    "NomicV15": "nomic",
}
SMALL = ("dtype", "variant", "height", "width", "steps", "max_new_tokens", "batch_size")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[TinyClass, Path]]:
    """Return {name of a class, and of a builder: the builder and its checkpoint}."""
    root = tmp_path_factory.mktemp("classes")
    found: dict[str, tuple[TinyClass, Path]] = {}
    for tiny in all_classes().values():
        if tiny.is_buildable:
            folder = tiny.save(root / tiny.name)
            found[tiny.name] = (tiny, folder)
            found.setdefault(architecture_of(folder), (tiny, folder))
    return found


def architecture_of(folder: Path) -> str:
    return class_of(folder) or str(json_of(folder / "config.json").get("architectures", [""])[0])


@pytest.mark.parametrize("name", ROWS)
def test_a_rows_settings_are_heard_by_its_class(
    name: str, built: dict[str, tuple[TinyClass, Path]]
) -> None:
    row, settings = ROWS[name]
    if row.family == "moondream":
        pytest.skip("its class is code of its repository")
    key = VARIANTS.get(name, row.architecture)
    if key not in built:
        pytest.skip(f"no checkpoint of {key} here: it needs {' and '.join(row.needs) or 'another'}")
    tiny, folder = built[key]
    assert tiny.family == row.family
    load(spec_of(bare(tiny), folder, **shrunk(tiny, dict(settings))), "cpu")


def bare(tiny: TinyClass) -> TinyClass:
    """Return the class without settings of its own."""
    return TinyClass(tiny.name, tiny.family, tiny.build, {}, tiny.needs)


def shrunk(tiny: TinyClass, settings: dict[str, Any]) -> dict[str, Any]:
    """Return a row's settings with those of size as small as the checkpoint."""
    kept = {key: value for key, value in settings.items() if key not in SMALL}
    return kept | {key: value for key, value in tiny.settings.items() if key in SMALL}
