"""The report's folder: what is written into it, and what an earlier report left there."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from panic_hpc.disk import system
from panic_hpc.disk.file_names import require_within
from panic_hpc.disk.files import read_json, replace_file, to_json
from panic_hpc.disk.overwriting import admit, admit_directory
from panic_hpc.disk.publish import replacing
from panic_hpc.errors import PanicError

RECORD = "report.json"
_RECORD_LIMIT = 64 * 2**20


class ReportFolder:
    """A folder that is written file by file; a report that was there is replaced by `finish`."""

    def __init__(
        self,
        directory: Path,
        inputs: Sequence[Path],
        experiments: Sequence[str],
        *,
        force: bool = False,
    ) -> None:
        """Choose the folder; `experiments` are keys of those that the report is of.

        PanicError where it holds other things than a report of the same experiments and `force` is
        not given.
        """
        self.directory = directory
        self._inputs = inputs
        self._force = force
        self._experiments = sorted(experiments)
        self._before = _files_before(directory, self._experiments)
        self._written: dict[str, None] = {}
        admit_directory(directory, inputs, force=force or self._before is not None)

    def write(self, name: str, content: bytes) -> str:
        """Write a file, `name` with "/" between folders; return the name."""
        # Not synced one by one: a report is made again in minutes.
        with replacing(self.admit(name), is_durable=False) as stream:
            stream.write(content)
        return name

    def finish(self, page: bytes, told: Mapping[str, object]) -> Path:
        """Write the first page, last of all, then the record; remove what is of an earlier one."""
        replace_file(self.admit("index.html"), page)
        for name in sorted((self._before or set()) - self._written.keys()):
            self._remove(name)
        record = {**told, "experiments": self._experiments, "files": self._files()}
        replace_file(self.admit(RECORD), to_json(record))
        return self.directory / "index.html"

    def _files(self) -> list[str]:
        # What was admitted for somebody else may not have come.
        return sorted(name for name in self._written if (self.directory / name).is_file())

    def _remove(self, name: str) -> None:
        path = self.directory / name
        # A folder that was made a link since leads to somebody's files.
        require_within(path.parent, self.directory)
        if path.is_file() or path.is_symlink():
            system.remove(path)

    def admit(self, name: str) -> Path:
        """Return where a file goes that somebody else writes; it is one of the report's."""
        path = self.directory / name
        own = (self._before or set()) | {RECORD}
        is_own = self._before is not None and name in own
        admit(path, self._inputs, force=self._force, is_own=lambda _: is_own)
        self._written[name] = None
        return path


def _files_before(directory: Path, experiments: Sequence[str]) -> set[str] | None:
    """Return the files of the report of these experiments that is there, None for no such one."""
    try:
        value = read_json(directory / RECORD, limit=_RECORD_LIMIT)
        names = {str(name) for name in value["files"]}
        if value["experiments"] != experiments:
            return None
    except (PanicError, TypeError, KeyError):
        return None
    # The record may be a stranger's: only what lies in the folder is a report's.
    return {name for name in names if _is_within(name)}


def _is_within(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and name != "."
