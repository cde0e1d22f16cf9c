"""Slurm's commands are asked without a shell, and the site's limits are read from its own words."""

from pathlib import Path

import pytest

from panic_hpc.backends.slurm.commands import Answer, ask, limits_from, parse_config
from panic_hpc.clusters.cluster import Limits
from panic_hpc.errors import LaunchError

CONFIG = """\
Configuration data as of 2026-11-20T09:39:43
AccountingStorageType   = accounting_storage/none
AuthInfo                = socket=/run/munge/socket,cred_expire=10
MaxArraySize            = 11
MinJobAge               = 300 sec
SLURM_VERSION           = 22.05.8
Slurmctld(primary) at vm is UP
"""


def test_limits_are_read_from_what_scontrol_prints() -> None:
    limits = limits_from(parse_config(CONFIG), Limits())
    assert (limits.version, limits.max_array_size, limits.min_job_age_s) == ("22.05.8", 11, 300)
    assert not limits.accounting
    assert parse_config(CONFIG)["AuthInfo"] == "socket=/run/munge/socket,cred_expire=10"


def test_the_profiles_own_limits_win() -> None:
    limits = limits_from(parse_config(CONFIG), Limits(max_array_size=5, accounting=True))
    assert limits.max_array_size == 5
    assert limits.accounting


def test_without_a_limit_slurms_own_default_holds() -> None:
    assert limits_from({}, Limits()).max_array_size == 1001


def test_an_absent_command_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match=r"no sbatch on this machine.*login node"):
        ask("sbatch")


def test_a_command_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "squeue"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(LaunchError, match="did not answer"):
        ask("squeue", timeout_s=0.2)


def test_a_complaint_is_one_line_without_slurms_prefix() -> None:
    said = Answer(1, "", "sbatch: note\nsbatch: error: invalid partition specified: x\n")
    assert said.problem == "invalid partition specified: x"
    assert Answer(3, "", "").problem == "exit code 3"
