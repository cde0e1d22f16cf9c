"""make bench: one command within half an hour, in which one part does not spoil the others."""

import subprocess
import sys
from pathlib import Path

import bench
import pytest
import ratios
from little_experiment import wait_for

CUT_OFF_S = 8


def test_the_limits_fit_into_half_an_hour_and_every_part_is_there() -> None:
    assert sum(part.limit_s for part in bench.PARTS.values()) < 30 * 60
    programs = {path.name for path in bench.TOOLS.glob("bench_*.py")} - {"bench_gpu.py"}
    assert {part.arguments[0] for part in bench.PARTS.values()} == programs


def test_a_part_cut_off_and_one_that_fails_leave_their_ratios_and_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    left = tmp_path / "left"
    # It is cut off once it has begun to wait, however long this machine takes to get there.
    wait = subprocess.Popen.wait

    def wait_or_cut_off(process: "subprocess.Popen[str]", timeout: float | None = None) -> int:
        if timeout != CUT_OFF_S:
            return wait(process, timeout)
        wait_for(lambda: left.exists() and left.read_text(), "the part to wait")
        raise subprocess.TimeoutExpired(process.args, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", wait_or_cut_off)
    programs = {
        "slow": f"record('a ÷ b', 2.5, '≥ 3'); made = tempfile.mkdtemp();"
        " child = subprocess.Popen(['sleep', '60']);"
        f" open({str(left)!r}, 'w').write(f'{{child.pid}} {{made}}'); time.sleep(60)",
        "broken": "record('c ÷ d', 0.25); raise SystemExit(3)",
        "good": "record('e ÷ f', 1)",
    }
    for name, text in programs.items():
        start = f"import sys, tempfile, time, subprocess; sys.path.insert(0, {str(bench.TOOLS)!r})"
        program = f"{start}; from ratios import record; {text}\n"
        (tmp_path / f"{name}.py").write_text(program)
    monkeypatch.setattr(
        bench,
        "PARTS",
        {
            name: bench.Part([f"{name}.py"], CUT_OFF_S if name == "slow" else 120)
            for name in programs
        },
    )
    monkeypatch.setattr(bench, "TOOLS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["bench.py"])
    with pytest.raises(SystemExit) as end:
        bench.main()
    assert end.value.code == 1
    told = capfd.readouterr().out
    assert "slow: CUT OFF after 8 s" in told
    assert "broken: FAILED (exit 3)" in told
    assert "good: done" in told
    rows = ("slow | a ÷ b | 2.50 | ≥ 3 |", "broken | c ÷ d | 0.25 |", "good | e ÷ f | 1.00 |")
    for row in rows:
        assert row in told
    child, made = left.read_text().split()
    assert not Path(made).exists(), "what a part made is left"
    state = subprocess.run(["ps", "-o", "stat=", child], capture_output=True, text=True)
    assert state.stdout.strip()[:1] in ("", "Z"), "what a part started runs on"


def test_a_ratio_half_written_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ratios"
    ratios.record("nowhere", 1)
    assert ratios.read(file) == []
    monkeypatch.setenv(ratios.FILE, str(file))
    ratios.record("whole", 1.5, "≥ 1")
    with file.open("a") as out:
        out.write('["half", 1')
    assert ratios.read(file) == [ratios.Ratio("whole", 1.5, "≥ 1")]
