"""The report in a real browser: it asks for nothing, strings stay text, keys and pointer work."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import synthetic
from browser import Browser

from panic_hpc.report.writing import write_report
from panic_hpc.store.dataset.dataset import open_dataset
from panic_hpc.types import Prompt

pytestmark = pytest.mark.programs("chromium")

BREAKS = "window.broken = 1"
HOSTILE = (
    f"<script>{BREAKS}</script>",
    f'"><img src=x onerror="{BREAKS}">',
    f"</script><script>{BREAKS}</script>",
    "evil \u202egnp.exe \u2066 \x1b[31m",
    f"{{{{ 7 * 7 }}}} <svg onload={BREAKS}>",
)
READY = "document.documentElement.dataset.ready"
PAGES = ("index.html", "explorer.html", "comparisons.html")
SIZES = [(1440, 900), (768, 1024), (390, 844)]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shown")
    experiment = synthetic.Experiment(
        root / f"<b onclick='{BREAKS}'>shards",
        prompts=tuple(Prompt(text, HOSTILE[0]) for text in HOSTILE),
        seeds=(1, 2, 3),
        twist=" ".join(HOSTILE),
        has_real_images=True,
        max_length=12,
    )
    shards = synthetic.write(experiment, [len(experiment.runs)])
    synthetic.merged(root / "D.h5", (experiment, shards))
    with open_dataset(root / "D.h5") as dataset:
        return write_report(dataset, root / "out", [], {}).parent


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


class Links(HTMLParser):
    """What a page would load or lead to, and the scripts and handlers in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.places: list[str] = []
        self.handlers: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "action", "data", "srcset", "poster"):
                self.places.append(value or "")
            if name.startswith("on") or name == "style":
                self.handlers.append(f"{tag} {name}")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_leads_to_files_of_its_own_alone(report: Path, name: str) -> None:
    found = Links(report / name)
    assert found.places
    assert found.handlers == []
    for place in found.places:
        file = place.partition("#")[0]
        assert not file or (report / file).is_file(), place
    # Styles and scripts as well: no address of anything in what is ours.
    ours = re.sub(r"<script type=.*?</script>", "", (report / name).read_text(), flags=re.DOTALL)
    assert not re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(?:https?:)?//", ours)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size[0]))
def test_a_page_opens_without_a_request_or_an_error(
    browser: Browser, report: Path, name: str, size: tuple[int, int]
) -> None:
    for scheme in ("light", "dark"):
        browser.open(report / name, width=size[0], height=size[1], scheme=scheme)
        if name == "explorer.html":
            browser.wait(READY)
        folder = report.resolve().as_uri() + "/"
        assert all(one.startswith((folder, "data:")) for one in browser.requests), browser.requests
        assert browser.troubles == []
        root = "document.documentElement"
        assert browser.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"), "it scrolls sideways"


def test_strings_of_a_dataset_stay_text(browser: Browser, report: Path) -> None:
    seen = ""
    for name in PAGES:
        browser.open(report / name)
        if name == "explorer.html":
            browser.wait(READY)
            browser.evaluate("panes.A.goTo(panes.A.last())")
        seen += browser.evaluate("document.documentElement.innerText")
        assert browser.evaluate("window.broken") is None
        assert browser.evaluate("document.querySelectorAll('main script, main b, svg').length") == 0
        whole = browser.evaluate("document.documentElement.textContent")
        assert not set(whole) & set("\u202e\u2066\x1b"), "what turns or hides text came through"
    assert HOSTILE[0] in seen
    assert "\\u202e" in seen
    assert "{{ 7 * 7 }}" in seen


def test_what_would_get_past_the_escaping_is_refused_by_the_policy(
    browser: Browser, report: Path
) -> None:
    browser.open(report / "index.html")
    browser.evaluate(
        "window.refused = []; addEventListener('securitypolicyviolation',"
        " (event) => refused.push(event.effectiveDirective))"
    )
    browser.evaluate(
        "document.body.insertAdjacentHTML('beforeend', `<img src='http://127.0.0.1:9/a.png'>"
        f'<img src="x.png" onerror="{BREAKS}"><iframe src="index.html"></iframe>`);'
        f"const added = document.createElement('script'); added.textContent = '{BREAKS}';"
        "document.body.append(added)"
    )
    browser.wait("refused.length >= 3")
    assert browser.evaluate("window.broken") is None
    assert not any(one.startswith("http") for one in browser.requests if "127.0.0.1" not in one)
    refused = set(browser.evaluate("refused"))
    assert {"img-src", "frame-src", "script-src-elem"} <= refused


def open_explorer(browser: Browser, report: Path) -> None:
    browser.open(report / "explorer.html")
    browser.wait(READY)
    browser.evaluate("document.getElementById('overlay').focus()")
    # A run of one state has no next one.
    browser.evaluate(
        "panes.A.chooseRun(runNumbers.find((run) => {"
        " const [a, b] = current.spans.get(run) || [0, 0]; return b - a > 2 }))"
    )


def test_keys_step_through_runs_and_sides(browser: Browser, report: Path) -> None:
    open_explorer(browser, report)
    browser.press("ArrowRight")
    assert browser.evaluate("panes.A.place") == 1
    shown = browser.evaluate("panes.A.part('where').textContent")
    assert shown.startswith(f"step {browser.evaluate('current.step[panes.A.point()]')} of ")
    browser.press("End")
    assert browser.evaluate("panes.A.place === panes.A.last()")
    before = browser.evaluate("panes.B.run")
    browser.press("b")
    browser.press("ArrowDown")
    assert browser.evaluate("panes.B.run") == before + 1
    assert browser.evaluate("document.querySelector('.pane.active').id") == "pane-B"
    browser.press("+")
    assert browser.evaluate("view.zoom") > 1


def test_a_click_takes_a_state_and_hovering_shows_it(browser: Browser, report: Path) -> None:
    open_explorer(browser, report)
    x, y, run = browser.evaluate(
        "(() => { const i = current.n - 1, box = view.stage.getBoundingClientRect();"
        " const [x, y] = view.toScreen(i); return [x + box.x, y + box.y, current.run[i]] })()"
    )
    browser.pointer("mouseMoved", x, y)
    browser.wait("!document.getElementById('tip').hidden")
    assert f"run {run}" in browser.evaluate("document.getElementById('tip').textContent")
    for kind in ("mousePressed", "mouseReleased"):
        browser.pointer(kind, x, y, button="left", clickCount=1)
    assert browser.evaluate("panes.A.run") == run
    # The picture came from its sheet, and the map from its numbers.
    browser.wait("sheets.get(panes.A.run).naturalWidth > 0")
    drawn = "view.paper.getImageData(0, 0, view.points.width, view.points.height).data"
    assert browser.evaluate(f"{drawn}.some((value) => value > 0)")
    assert browser.troubles == []


def test_both_sides_go_together_where_that_is_asked(browser: Browser, report: Path) -> None:
    open_explorer(browser, report)
    browser.evaluate("panes.B.chooseRun(panes.A.run)")
    browser.evaluate("document.getElementById('together').click()")
    browser.evaluate("document.getElementById('overlay').focus()")
    browser.press("a")
    browser.press("End")
    assert browser.evaluate("panes.A.step() === panes.B.step() && panes.A.place > 0")


def test_a_search_leaves_what_has_the_word(browser: Browser, report: Path) -> None:
    open_explorer(browser, report)
    count = browser.evaluate("[...texts.values()].flatMap((own) => [...own.values()])"
                             ".filter((text) => text.includes('at 3')).length")  # fmt: skip
    browser.evaluate(
        "document.getElementById('search').value = 'at 3';"
        "document.getElementById('search').dispatchEvent(new Event('input'))"
    )
    browser.wait("document.getElementById('matches').textContent")
    said = browser.evaluate("document.getElementById('matches').textContent")
    assert int(said.split()[0]) == count > 0


def test_a_table_is_sorted_by_a_click(browser: Browser, report: Path) -> None:
    browser.open(report / "index.html")
    sort = (
        "const all = [...document.querySelectorAll('#work button.sort')];"
        "const head = all.find((one) => one.textContent.trim().startsWith('invocations'));"
    )
    told = browser.evaluate(
        f"(() => {{ {sort} head.click(); const at = head.closest('th');"
        " return [at.getAttribute('aria-sort'), [...at.closest('table').tBodies[0].rows]"
        ".map((row) => Number(row.cells[at.cellIndex].textContent))] })()"
    )
    assert told[0] == "ascending"
    assert told[1] == sorted(told[1])
