import json
import subprocess
import sys
from pathlib import Path

import pytest

from panic_hpc.models import numerics
from panic_hpc.models.numerics import numerics_class

AMD = """processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 9004
flags\t\t: fpu sse sse2 avx avx2 fma avx512f avx512_vnni

processor\t: 1
vendor_id\t: Other
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd sve\nCPU implementer\t: 0x41\n"


def test_a_class_is_json_and_equal_to_itself() -> None:
    assert json.loads(json.dumps(numerics_class("cpu", 2))) == numerics_class("cpu", 2)


def test_threads_and_switches_make_another_class(monkeypatch: pytest.MonkeyPatch) -> None:
    one = numerics_class("cpu", 1)
    assert numerics_class("cpu", 2) != one
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert numerics_class("cpu", 1) != one


@pytest.mark.parametrize(
    ("content", "maker", "flag"), [(AMD, "AuthenticAMD", "avx512f"), (ARM, "0x41", "sve")]
)
def test_the_first_processor_tells(tmp_path: Path, content: str, maker: str, flag: str) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(content)
    found, flags = numerics._cpuinfo(path)
    assert found == maker
    assert flag in flags


def test_a_system_without_cpuinfo_has_a_class_too(tmp_path: Path) -> None:
    assert numerics._cpuinfo(tmp_path / "absent")[1] == set()


def test_no_heavy_library_is_imported() -> None:
    code = (
        "import sys\n"
        "from panic_hpc.models.numerics import numerics_class\n"
        "numerics_class('cpu')\n"
        "sys.exit(bool({'torch', 'transformers', 'diffusers'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_a_process_loaded_before_is_no_part_of_a_cpus_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = numerics_class("cpu")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    assert numerics_class("cpu") == before
