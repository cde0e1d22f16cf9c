"""What the daemons of a testbed read: configuration, keys, fake GPUs, in its own directory."""

import itertools
import os
import secrets
import socket
import stat
import string
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Slurm counts to 67,043,328 and begins again.
MAX_FIRST_JOB_ID = 60_000_000
FIRST_PORT = 10_000


@dataclass(frozen=True)
class Settings:
    """What can be chosen when a testbed starts."""

    accounting: bool = False
    max_array_size: int = 11
    min_job_age_s: int = 300


def write_files(directory: Path, settings: Settings) -> None:
    """Write what the daemons read: configuration, MUNGE key, fake GPUs."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)  # jobs of other users read slurm.conf and the MUNGE socket
    for name in ("munge", "run", "log", "state", "spool", "mariadb"):
        (directory / name).mkdir(mode=0o755)
    _write_private(directory / "munge/key", secrets.token_bytes(128))
    for number in (0, 1):
        # CUDA_VISIBLE_DEVICES is only set for character devices; this one is /dev/null.
        os.mknod(directory / f"fakegpu{number}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    (directory / "gres.conf").write_text(
        f"NodeName=g[1-2] Name=gpu Type=a100 Count=2 File={directory}/fakegpu[0-1]\n"
    )
    ports = _free_ports(6)
    (directory / "slurm.conf").write_text(_slurm_conf(directory, settings, ports))
    if settings.accounting:
        _write_accounting(directory, database_port=ports[4], accounting_port=ports[5])


def _slurm_conf(directory: Path, settings: Settings, ports: list[int]) -> str:
    template = string.Template((HERE / "slurm.conf.in").read_text())
    return template.substitute(
        hostname=socket.gethostname(),
        directory=directory,
        controller_port=ports[0],
        node_ports=f"{ports[1]},{ports[2]}",
        fat_port=ports[3],
        max_array_size=settings.max_array_size,
        min_job_age=settings.min_job_age_s,
        first_job_id=1 + secrets.randbelow(MAX_FIRST_JOB_ID),
        accounting=_accounting_lines(directory, settings, ports[5]),
    )


def _accounting_lines(directory: Path, settings: Settings, port: int) -> str:
    if not settings.accounting:
        return "AccountingStorageType=accounting_storage/none"
    return "\n".join(
        (
            "AccountingStorageType=accounting_storage/slurmdbd",
            "AccountingStorageHost=127.0.0.1",
            f"AccountingStoragePort={port}",
            f"AccountingStoragePass={directory}/munge/socket",
            "AccountingStorageTRES=gres/gpu",
            "AccountingStorageEnforce=limits",
        )
    )


def _write_accounting(directory: Path, database_port: int, accounting_port: int) -> None:
    password = secrets.token_hex(16)
    _write_private(
        directory / "mariadb.sql",
        "CREATE DATABASE slurm_acct_db;\n"
        f"CREATE USER slurm@'127.0.0.1' IDENTIFIED BY '{password}';\n"
        "GRANT ALL ON slurm_acct_db.* TO slurm@'127.0.0.1';\n".encode(),
    )
    (directory / "mariadb.port").write_text(str(database_port))
    settings = {
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={directory}/munge/socket",
        "DbdHost": socket.gethostname(),
        "DbdAddr": "127.0.0.1",
        "DbdPort": accounting_port,
        "SlurmUser": "root",
        "PidFile": directory / "run/slurmdbd.pid",
        "LogFile": directory / "log/slurmdbd.log",
        "StorageType": "accounting_storage/mysql",
        "StorageHost": "127.0.0.1",
        "StoragePort": database_port,
        "StorageUser": "slurm",
        "StoragePass": password,
        "StorageLoc": "slurm_acct_db",
    }
    text = "".join(f"{name}={value}\n" for name, value in settings.items())
    _write_private(directory / "slurmdbd.conf", text.encode())


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody has, and no other testbed of this process's lifetime gets.

    None of those that the system gives to whoever connects or asks for any: one of them could be
    given away before the daemon that it is for has it.
    """
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    candidates = list(range(FIRST_PORT, first_given))
    secrets.SystemRandom().shuffle(candidates)
    return list(itertools.islice(filter(_is_ours_now, candidates), count))


def _is_ours_now(port: int) -> bool:
    """Reserve a port among testbeds, by a name that is free again once this process ends."""
    name, probe = socket.socket(socket.AF_UNIX), socket.socket()
    try:
        name.bind(f"\0panic-testbed-{port}")
        probe.bind(("", port))
    except OSError:
        name.close()
        return False
    finally:
        probe.close()
    name.detach()  # open until this process ends
    return True
