"""The pictures of prompts beside the experiments of a crate, as folders that plan again.

inputs_0/shoe.webp            or inputs_0/Mask/shoe.webp, where prompts have several
inputs_0/prompts.csv          their texts and groups, where they have some
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from panic_hpc.disk.directories import make_any_directory
from panic_hpc.disk.file_names import file_name, file_names, require_within
from panic_hpc.disk.files import replace_file
from panic_hpc.models.prompt_pictures import SOLE_ROLE
from panic_hpc.pictures.stored import read_head
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.dataset.outputs import encoded_pictures

TEXTS = "prompts.csv"


def folder_of(experiment: int) -> str:
    """Return the name of the folder with an experiment's pictures."""
    return f"inputs_{experiment}"


def pictured(dataset: Dataset) -> dict[int, list[int]]:
    """Return the rows of prompts of each experiment whose prompts have pictures, in its order."""
    file = dataset.file
    if "pictures/prompt" not in file:
        return {}
    having = set(file.array("pictures/prompt").tolist())
    columns = (file.array(f"runs/{name}").tolist() for name in ("experiment", "prompt"))
    found: dict[int, list[int]] = {}
    for experiment, prompt in dict.fromkeys(zip(*columns, strict=True)):
        if prompt in having:
            found.setdefault(experiment, []).append(prompt)
    return found


def write_inputs(dataset: Dataset, directory: Path) -> list[Path]:
    """Write the pictures of all experiments into folders of a crate; return the folders."""
    names, texts = _names(dataset), dataset.prompt_texts()
    groups = dataset.prompts()["group"].to_list()
    folders = []
    for experiment, prompts in pictured(dataset).items():
        folder = directory / folder_of(experiment)
        for path, content in _files(dataset, folder, prompts, names):
            require_within(path, directory)
            make_any_directory(path.parent)
            replace_file(path, content)
        rows = [(names[p], texts[p], groups[p] or "") for p in prompts]
        if any(text or group for _, text, group in rows):
            replace_file(folder / TEXTS, _as_csv(rows))
        folders.append(folder)
    return folders


def _names(dataset: Dataset) -> Mapping[int, str]:
    """Return file names of prompts by row: those that their pictures had, where these are plain."""
    told = dict(enumerate(dataset.metadata.get("prompt_names", ())))
    rows = range(dataset.file.rows("prompts/group"))
    names = {row: told.get(row) or f"prompt_{row:05d}" for row in rows}
    counts = Counter(name.lower() for name in names.values())
    # Of two experiments, files of one name may be two pictures.
    distinct = {
        row: f"{name}-{row}" if counts[name.lower()] > 1 else name for row, name in names.items()
    }
    safe = file_names(distinct.values())
    return {row: safe[name] for row, name in distinct.items()}


def _files(
    dataset: Dataset, folder: Path, prompts: Sequence[int], names: Mapping[int, str]
) -> Iterator[tuple[Path, bytes]]:
    wanted = set(prompts)
    is_sole = list(dataset.metadata["picture_roles"]) == [SOLE_ROLE]
    for prompt, role, content in encoded_pictures(dataset.file, dataset.metadata):
        if prompt in wanted:
            head = read_head(content)
            suffix = head.format.lower() if head else "webp"
            place = folder if is_sole else folder / file_name(role)
            yield place / f"{names[prompt]}.{suffix}", content


def _as_csv(rows: Sequence[tuple[str, str, str]]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("name", "text", "group"))
    writer.writerows(rows)
    return stream.getvalue().encode("utf-8", "surrogatepass")
