"""What other packages offer is a plugin, or one sentence that names the package; never a trace."""

import re
from pathlib import Path

import pytest
import typer
from plugins import package_beside

from panic_hpc import cli, installed
from panic_hpc.errors import PanicError

KINDS = sorted(kind for kind in installed.KINDS if kind != "verbs")
PLUGIN = "class Thing:\n    name = {name!r}\nPLUGINS = (Thing(),)\n"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("raise RuntimeError('one\\n\\x1b[31mtwo')", r"RuntimeError: one\n\x1b[31mtwo"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("def (", "SyntaxError"),
        ("PLUGINS = 5", "TypeError"),
        ("PLUGINS = (None,)", "with the name None"),
        ("PLUGINS = 'ab'", "with the name None"),
        ("def __getattr__(name):\n    raise RuntimeError('not this')", "not this"),
        (PLUGIN.format(name=5), "with the name 5"),
        (PLUGIN.format(name=[]), "with the name []"),
        (PLUGIN.format(name="a/../b\x1b"), r"with the name 'a/../b\x1b'"),
        (PLUGIN.format(name="thing"), "offers 'thing', which is no "),
    ],
)
def test_whatever_another_package_offers_is_told_by_its_name(
    tmp_path: Path, kind: str, text: str, told: str
) -> None:
    with (
        package_beside(tmp_path, {"offered": text}, {f"panic_hpc.{kind}": "offered"}),
        pytest.raises(PanicError, match=re.escape(told)) as caught,
    ):
        installed.plugins(kind)
    assert str(caught.value).startswith("plugin-of-a-test (offered) ")
    assert caught.value.hint == "pip uninstall plugin-of-a-test, or mend it"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_plugin_of_ours_has_what_is_asked_of_others(kind: str) -> None:
    for name, plugin in installed.plugins(kind).items():
        assert installed._NAME.fullmatch(name)
        assert not [one for one in installed.KINDS[kind].members if not hasattr(plugin, one)], name


def test_profiles_of_a_package_that_cannot_be_looked_into_are_told(tmp_path: Path) -> None:
    text = "def __getattr__(name):\n    raise RuntimeError('not this')"
    with (
        package_beside(tmp_path, {"offered": text}, {"panic_hpc.clusters": "offered"}),
        pytest.raises(PanicError, match=re.escape("plugin-of-a-test (offered)")),
    ):
        list(installed.folders("clusters"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import nothing_of_this_name", "nothing_of_this_name"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("def register(app):\n    raise RuntimeError('not now')", "not now"),
        ("register = 5", "TypeError"),
        ("PANEL = 5\ndef register(app):\n    pass", "TypeError"),
        ("def register(app):\n    app.command('plan')(print)", "Two verbs are named 'plan'"),
    ],
)
def test_a_verb_of_another_package_that_is_none_is_one_sentence(
    tmp_path: Path,
    text: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["panic-hpc", "--version"])
    monkeypatch.setattr(cli, "app", typer.Typer())
    with (
        package_beside(tmp_path, {"offered": text}, {"panic_hpc.verbs": "offered"}),
        pytest.raises(SystemExit) as ended,
    ):
        cli.main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert told in said
    assert "plugin-of-a-test (offered)" in said
    assert "Traceback" not in said
