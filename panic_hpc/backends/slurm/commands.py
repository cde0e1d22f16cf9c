"""The one door to Slurm's commands, and what `scontrol show config` says of a site's limits."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from panic_hpc.clusters.cluster import Limits
from panic_hpc.errors import LaunchError

# What every Slurm without a MaxArraySize of its own allows.
DEFAULT_MAX_ARRAY_SIZE = 1001


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def problem(self) -> str:
        """Its complaint in one line, for the end of a sentence."""
        # The last line has the reason; sbatch prints notices of the site before it.
        lines = (self.err.strip() or self.out.strip() or f"exit code {self.code}").splitlines()
        return re.sub(r"^\w+: (?:error|fatal): ", "", lines[-1])


def ask(
    *command: str,
    stdin: str = "",
    timeout_s: float = 60,
    env: Mapping[str, str] | None = None,
) -> Answer:
    """Run one of Slurm's commands on this host, without a shell, and return what it said.

    `env` is its whole environment, None for that of this process. Raises LaunchError where the
    command is absent or does not answer.
    """
    name = command[0]
    if shutil.which(name) is None:
        raise LaunchError(
            f"There is no {name} on this machine",
            hint="Type this on a login node of the cluster, or use --cluster local",
        )
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, errors="replace",
            timeout=timeout_s, check=False, env=env,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise LaunchError(
            f"{name} did not answer within {timeout_s:g} s", hint="Try again, or ask `sdiag`"
        ) from error
    return Answer(done.returncode, done.stdout, done.stderr)


def answer_of(*command: str, env: Mapping[str, str] | None = None) -> str:
    """Return what a command prints; LaunchError with its complaint where it fails."""
    answer = ask(*command, env=env)
    if answer.code:
        raise LaunchError(f"{command[0]} failed: {answer.problem}")
    return answer.out


def sbatch_verdict(
    script: str, *options: str, env: Mapping[str, str] | None = None
) -> tuple[bool, str]:
    """Return whether sbatch would take `script`, and what it says: when it would start, or why not.

    Checks partition, GRES and array size, and queues nothing.
    """
    answer = ask("sbatch", "--test-only", *options, stdin=script, timeout_s=120, env=env)
    return not answer.code, sbatch_words(answer.err or answer.out)


def sbatch_words(text: str) -> str:
    """Return what sbatch said as one line, without its name before every part. Pure."""
    lines = (
        re.sub(r"^(sbatch|allocation failure): (error: )?", "", line) for line in text.splitlines()
    )
    return "; ".join(filter(None, map(str.strip, lines)))


@dataclass(frozen=True, slots=True)
class SchedulerLimits:
    """The limits that submission must keep to."""

    version: str
    max_array_size: int
    min_job_age_s: int
    requeue: bool
    accounting: bool


def read_limits(given: Limits) -> SchedulerLimits:
    """Return the limits of this site's Slurm; what the profile gives wins.

    Raises LaunchError where scontrol is absent or its controller does not answer.
    """
    answer = ask("scontrol", "show", "config")
    if answer.code:
        raise LaunchError(f"scontrol does not know this site's limits: {answer.problem}")
    return limits_from(parse_config(answer.out), given)


def parse_config(text: str) -> dict[str, str]:
    """Return the `Name = value` lines of `scontrol show config`. Pure."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def limits_from(config: Mapping[str, str], given: Limits) -> SchedulerLimits:
    """Return the limits that `config` and the profile's own words make. Pure."""
    accounting = config.get("AccountingStorageType", "") not in ("", "accounting_storage/none")
    return SchedulerLimits(
        version=config.get("SLURM_VERSION", ""),
        max_array_size=given.max_array_size
        or _number(config.get("MaxArraySize", ""), DEFAULT_MAX_ARRAY_SIZE),
        min_job_age_s=_number(config.get("MinJobAge", ""), 0),
        requeue=given.requeue,
        accounting=accounting if given.accounting is None else given.accounting,
    )


def _number(text: str, default: int) -> int:
    """Return the number at the start of a value such as `300 sec`."""
    match = re.match(r"\d+", text)
    return int(match[0]) if match else default
