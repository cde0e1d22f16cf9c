"""The explorer: its sheets of pictures, and its page."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from panic_hpc.analysis.reading import trajectories
from panic_hpc.errors import AwayError
from panic_hpc.plain_text import counted
from panic_hpc.report.explorer import payload
from panic_hpc.report.explorer.projection import StateMap, shown_runs, state_map
from panic_hpc.report.explorer.sheets import PictureSheet, chosen_steps, draw_sheet
from panic_hpc.report.folder import ReportFolder
from panic_hpc.report.rendering import data_json, render
from panic_hpc.types import EMBEDDINGS

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

PAGE = "explorer.html"
MOST_MODELS = 3
"""A map of 100,000 states takes 0.8 MB of the page."""
MOST_AWAY = 3
"""Files that are told of: a whole folder is away more often than one."""
SCRIPTS = ("data.js", "map.js", "panes.js", "explorer.js")


class Explorer:
    """Writes the explorer of a dataset into a report's folder."""

    def __init__(
        self, dataset: "Dataset", folder: ReportFolder, most_points: int, most_pictures: int
    ) -> None:
        """Choose runs and pictures; nothing is written yet."""
        self._dataset, self._folder = dataset, folder
        self._most_points = most_points
        self._runs = shown_runs(dataset.n_runs)
        self.pictures = chosen_steps(dataset, self._runs.tolist(), most_pictures)
        self._sheets: dict[int, PictureSheet] = {}
        self._away: dict[str, int] = {}

    def write_sheet(self, run: int) -> None:
        """Write the pictures of a run."""
        try:
            drawn = draw_sheet(self._dataset, run, self.pictures[run])
        except AwayError as error:
            self._away[str(error)] = self._away.get(str(error), 0) + 1
            return
        if drawn:
            self._sheets[run], content = drawn
            self._folder.write(f"pictures/run_{run:06d}.webp", content)

    def write_page(self) -> int:
        """Write the page after the sheets; return how many states are on its first map.

        Without embeddings there is no map, and 0 is returned.
        """
        models = self._dataset.models_of(EMBEDDINGS)
        maps = [self._map(model) for model in models[:MOST_MODELS]]
        maps = [one for one in maps if len(one.run)]
        if not maps:
            return 0
        self._folder.write(PAGE, self._page(maps, models[MOST_MODELS:]))
        return len(maps[0].run)

    def _map(self, model: str) -> StateMap:
        found = trajectories(self._dataset, model)
        return state_map(found, self._runs, self._most_points)

    def _page(self, maps: Sequence[StateMap], left_out: Sequence[str]) -> bytes:
        runs = payload.about_runs(self._dataset, self._runs.tolist(), self._sheets)
        points = payload.packed(maps)
        about = data_json({**runs, "maps": [payload.about_map(one) for one in maps]})
        room = payload.MOST_PAGE_BYTES - len(points) - len(about)
        texts, length = payload.captions(self._dataset, maps, room)
        return render(
            PAGE,
            "explorer.css",
            SCRIPTS,
            title=self._dataset.path.name,
            about=about,
            points=points,
            texts=texts,
            notes=self._notes(maps, left_out, length),
        )

    def _notes(
        self, maps: Sequence[StateMap], left_out: Sequence[str], caption_length: int
    ) -> list[str]:
        """Return what the page does not show, in sentences."""
        n_runs, shown = self._dataset.n_runs, len(self._runs)
        notes = [] if shown == n_runs else [f"{shown:,} of {n_runs:,} runs are shown."]
        for one in maps:
            if len(one.run) < one.n_states:
                notes.append(f"{len(one.run):,} of {one.n_states:,} states of {one.model}.")
        if left_out:
            notes.append(f"No map of {', '.join(left_out)}: the page would be too large.")
        if caption_length != payload.UNCUT:
            notes.append(f"Captions are cut at {caption_length:,} characters.")
        n_pictures = sum(len(sheet.steps) for sheet in self._sheets.values())
        unread = sum(map(len, self.pictures.values())) - n_pictures
        pictures = f"{n_pictures:,} pictures are" if n_pictures else "No pictures are"
        notes.append(f"{pictures} in this report.")
        if unread:
            notes.append(f"{unread:,} pictures could not be read.")
        return [*notes, *self.away()]

    def away(self) -> list[str]:
        """Return what is to be told of files with pictures that are away, [] where none is."""
        told = [f"No pictures of {counted(n, 'run')}: {why}" for why, n in self._away.items()]
        more = len(told) - MOST_AWAY
        return [*told[:MOST_AWAY], f"And {more:,} more files are away."] if more > 0 else told
