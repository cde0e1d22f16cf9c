"""Text files from people: whole, UTF-8 and of a bearable size, or a ConfigError that says why."""

import stat
from pathlib import Path

from panic_hpc.errors import ConfigError


def read_text(path: Path, max_bytes: int) -> str:
    """Return a UTF-8 file's text without byte order mark; ConfigError says what else it is."""
    try:
        status = path.stat()
        # Opening a FIFO or a terminal would wait for ever.
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(str(path), ["not a file"])
        if status.st_size > max_bytes:
            raise ConfigError(str(path), [f"larger than {max_bytes // 2**20} MiB"])
        # utf-8-sig: Windows editors put a byte order mark first, which TOML would refuse.
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), [f"not UTF-8 text (byte {error.start})"]) from error
    except (OSError, ValueError) as error:
        raise ConfigError(str(path), [_unreadable(error)]) from error
    if "\0" in text:
        raise ConfigError(str(path), ["binary: it holds NUL characters"])
    return text


def _unreadable(error: Exception) -> str:
    return "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
