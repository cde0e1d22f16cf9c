"""What a file system may hold after the power failed: from a trace of calls, as ALICE does.

A write lasts once its file was synced, a name once its directory was. Until then each may be on the
disk or not, whatever came before or after it: POSIX promises no order.

T. S. Pillai et al., All File Systems Are Not Created Equal, OSDI 2014.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CALLS = (
    "openat,open,creat,write,pwrite64,writev,pwritev,lseek,ftruncate,fallocate,copy_file_range,"
    "sendfile,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,mkdir,"
    "mkdirat"
)
# Longer than any write: strace cuts texts off without it.
_LONGEST = 2**26
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)")
_WORD = re.compile(r'"((?:\\x[0-9a-f]{2})*)"|(AT_FDCWD|-?\d+)(?:<([^>]*)>)?|([^,\s][^,]*)')

Tree = dict[str, "bytes | None"]
"""Contents by path; None for a directory."""


@dataclass(frozen=True)
class Operation:
    """A change: of names (`directory`, `name`, then those of a rename's target) or of bytes."""

    kind: str
    node: int
    directory: int = -1
    name: str = ""
    to: int = -1
    to_name: str = ""
    at: int = 0
    data: bytes = b""

    def lasts_with(self, node: int) -> bool:
        """Whether a sync of `node` makes it last; a rename lasts with the directory it leads to."""
        if self.kind in ("write", "cut"):
            return self.node == node
        return node == (self.to if self.kind == "move" else self.directory)


@dataclass
class Disk:
    """Directories (names to nodes) and files (nodes to bytes); node 0 is the topmost directory."""

    names: dict[int, dict[str, int]] = field(default_factory=lambda: {0: {}})
    files: dict[int, bytearray] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Path) -> "Disk":
        """Return what lies below a directory."""
        disk = cls()
        for path in sorted(root.rglob("*")):
            parent, name = disk.place(str(path.relative_to(root)))
            content = None if path.is_dir() else path.read_bytes()
            disk.names[parent][name] = disk.new_node(content)
        return disk

    def copy(self) -> "Disk":
        """Return another one, to be changed."""
        names = {node: dict(entries) for node, entries in self.names.items()}
        return Disk(names, {node: bytearray(data) for node, data in self.files.items()})

    def new_node(self, content: bytes | None) -> int:
        """Return a node that nothing had; a directory for None."""
        node = len(self.names) + len(self.files)
        if content is None:
            self.names[node] = {}
        else:
            self.files[node] = bytearray(content)
        return node

    def place(self, path: str) -> tuple[int, str]:
        """Return the directory's node and the last part of a path."""
        *above, name = path.split("/")
        node = 0
        for part in above:
            node = self.names[node][part]
        return node, name

    def find(self, path: str) -> int | None:
        """Return the node of a path, None where there is none."""
        if path == ".":
            return 0
        directory, name = self.place(path)
        return self.names[directory].get(name)

    def apply(self, change: Operation) -> None:
        """Make a change; an entry or file that an omitted change would have made is no obstacle."""
        if change.kind in ("enter", "mkdir"):
            if change.kind == "mkdir":
                self.names.setdefault(change.node, {})
            self.names.setdefault(change.directory, {})[change.name] = change.node
        elif change.kind in ("leave", "move"):
            entries = self.names.setdefault(change.directory, {})
            if entries.get(change.name) == change.node:
                del entries[change.name]
            if change.kind == "move":
                self.names.setdefault(change.to, {})[change.to_name] = change.node
        else:
            content = self.files.setdefault(change.node, bytearray())
            end = change.at + len(change.data)
            content.extend(bytes(max(0, end - len(content))))
            if change.kind == "cut":
                del content[change.at :]
            content[change.at : end] = change.data

    def tree(self, node: int = 0, above: str = "") -> Tree:
        """Return what can be reached by name."""
        found: Tree = {}
        for name, child in self.names[node].items():
            if child in self.names:
                found |= {f"{above}{name}": None} | self.tree(child, f"{above}{name}/")
            else:
                found[f"{above}{name}"] = bytes(self.files.get(child, b""))
        return found


@dataclass
class Trace:
    """The changes below a directory, and the moment each begins to last (None: never)."""

    before: Disk
    changes: list[Operation] = field(default_factory=list)
    lasting: list[int | None] = field(default_factory=list)

    def applied(self) -> Iterator[frozenset[int]]:
        """Yield, each once, the sets of changes that a crash may leave, the last moment first.

        At every moment: nothing that was not synced; all; each such change alone, or all but it.
        """
        seen = set()
        for moment in range(len(self.changes), -1, -1):
            there = frozenset(range(moment))
            lasting = frozenset(n for n in there if (at := self.lasting[n]) and at <= moment)
            pending = sorted(there - lasting)
            single = [state for n in pending for state in (lasting | {n}, there - {n})]
            for state in (lasting, there, *single):
                if state not in seen:
                    seen.add(state)
                    yield state

    def after(self, applied: frozenset[int] | None = None) -> Tree:
        """Return what the disk holds with these changes only; all of them for None."""
        disk = self.before.copy()
        for number, change in enumerate(self.changes):
            if applied is None or number in applied:
                disk.apply(change)
        return disk.tree()


def write_tree(tree: Tree, root: Path) -> None:
    """Make a directory of a tree."""
    root.mkdir()
    for path, content in tree.items():
        if content is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)


def read_tree(root: Path) -> Tree:
    """Return the tree of a directory."""
    return Disk.read(root).tree()


def traced(command: Sequence[str | Path], log: Path, **options: object) -> str:
    """Run a command under strace; return what was traced, a finished call a line."""
    # With seccomp the process stops at these calls alone.
    words = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-xx", "-s", str(_LONGEST)]
    words += ["-o", str(log), "-e", f"trace={CALLS}", *map(str, command)]
    subprocess.run(words, check=True, **options)  # type: ignore[call-overload]
    return log.read_text()


def trace_of(text: str, root: Path, before: Disk) -> Trace:
    """Return the changes below `root`, which held `before`, in what strace wrote."""
    reader = _Reader(root, before)
    unfinished: dict[str, str] = {}
    for line in text.splitlines():
        pid, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            unfinished[pid] = call.removesuffix("<unfinished ...>")
            continue
        if call.startswith("<..."):
            call = unfinished.pop(pid) + call.partition("resumed>")[2]
        if (match := _CALL.match(call)) and int(match[3]) >= 0:
            reader.take(match[1], match[2], int(match[3]))
    return reader.trace


@dataclass(frozen=True)
class _Word:
    """An argument: a text, or a number with the path that a descriptor has, or a word."""

    text: bytes = b""
    number: str = ""
    path: str = ""
    word: str = ""


class _Reader:
    def __init__(self, root: Path, before: Disk) -> None:
        self.root = str(root)
        self.disk = before.copy()
        self.trace = Trace(before)
        self.places: dict[str, int] = {}

    def take(self, call: str, arguments: str, result: int) -> None:
        """Note what one call changed."""
        if self.root.encode().hex() not in re.sub(r"\\x", "", arguments) and (
            self.root not in arguments
        ):
            return
        words = [_word(match) for match in _WORD.finditer(arguments)]
        name = {"open": "openat", "creat": "openat", "pwritev": "writev"}.get(call, call)
        handle = getattr(self, f"_{name.removesuffix('at2').removesuffix('at')}", None)
        if handle is None:
            raise ValueError(f"{call} below {self.root} is not understood")
        handle(words, result)

    def _change(self, change: Operation) -> None:
        self.disk.apply(change)
        self.trace.changes.append(change)
        self.trace.lasting.append(None)

    def _relative(self, path: str) -> str | None:
        inside = path == self.root or path.startswith(f"{self.root}/")
        return os.path.relpath(path, self.root) if inside else None

    def _paths(self, words: list[_Word]) -> list[str | None]:
        """Return the paths among the arguments, each after the directory it is relative to."""
        found, base = [], ""
        for word in words:
            if word.path:
                base = word.path
            elif word.text:
                found.append(self._relative(os.path.join(base, os.fsdecode(word.text))))
        return found

    def _node(self, word: _Word) -> int | None:
        path = self._relative(word.path)
        return None if path is None else self.disk.find(path)

    def _open(self, words: list[_Word], result: int) -> None:
        path = self._paths(words)[0]
        flags = next(word.word for word in words if word.word.startswith("O_"))
        if path is None or "O_TMPFILE" in flags:
            return
        self.places[str(result)] = 0
        node = self.disk.find(path)
        if node is None:
            node = self.disk.new_node(b"")
            directory, name = self.disk.place(path)
            self._change(Operation("enter", node, directory, name))
        elif "O_TRUNC" in flags:
            self._change(Operation("cut", node))
        if "O_APPEND" in flags:
            self.places[str(result)] = len(self.disk.files[node])

    def _lseek(self, words: list[_Word], result: int) -> None:
        self.places[words[0].number] = result

    def _put(self, word: _Word, data: bytes, at: int | None) -> None:
        node = self._node(word)
        if node is None:
            return
        place = self.places.get(word.number, 0) if at is None else at
        self._change(Operation("write", node, at=place, data=data))
        if at is None:
            self.places[word.number] = place + len(data)

    def _write(self, words: list[_Word], result: int) -> None:
        self._put(words[0], words[1].text[:result], None)

    def _pwrite64(self, words: list[_Word], result: int) -> None:
        self._put(words[0], words[1].text[:result], int(words[3].number))

    def _copy_file_range(self, words: list[_Word], result: int) -> None:
        source, at, target, place = words[:4]
        if self._node(target) is None:
            return
        begin, end = (int(one.word.strip("[]")) for one in (at, place))
        node = self._node(source)
        content = Path(source.path).read_bytes() if node is None else self.disk.files[node]
        self._put(target, bytes(content[begin : begin + result]), end)

    def _ftruncate(self, words: list[_Word], result: int) -> None:
        if (node := self._node(words[0])) is not None:
            self._change(Operation("cut", node, at=int(words[1].number)))

    def _fallocate(self, words: list[_Word], result: int) -> None:
        node, end = self._node(words[0]), int(words[2].number) + int(words[3].number)
        if node is not None and end > len(self.disk.files[node]):
            self._change(Operation("cut", node, at=end))

    def _fsync(self, words: list[_Word], result: int) -> None:
        node = self._node(words[0])
        for number, change in enumerate(self.trace.changes):
            if self.trace.lasting[number] is None and node is not None and change.lasts_with(node):
                self.trace.lasting[number] = len(self.trace.changes)

    _fdatasync = _fsync

    def _mkdir(self, words: list[_Word], result: int) -> None:
        if path := self._paths(words)[0]:
            self._change(Operation("mkdir", self.disk.new_node(None), *self.disk.place(path)))

    def _link(self, words: list[_Word], result: int) -> None:
        old, new = self._paths(words)
        if old and new and (node := self.disk.find(old)) is not None:
            self._change(Operation("enter", node, *self.disk.place(new)))

    def _rename(self, words: list[_Word], result: int) -> None:
        old, new = self._paths(words)
        if old and new and (node := self.disk.find(old)) is not None:
            places = *self.disk.place(old), *self.disk.place(new)
            self._change(Operation("move", node, *places))

    def _unlink(self, words: list[_Word], result: int) -> None:
        path = self._paths(words)[0]
        if path and (node := self.disk.find(path)) is not None:
            self._change(Operation("leave", node, *self.disk.place(path)))

    _rmdir = _unlink


def _word(match: "re.Match[str]") -> _Word:
    text, number, path, word = match.groups()
    if number is not None:
        return _Word(number=number, path=os.fsdecode(_unescaped(path or "")))
    return _Word(text=_unescaped(text)) if text is not None else _Word(word=word)


def _unescaped(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else os.fsencode(text)
