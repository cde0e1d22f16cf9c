"""The page of votes in a real browser, from the disk and from its server."""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser import Browser
from little_experiment import wait_for

from panic_hpc.analysis.comparing.arms import all_arms
from panic_hpc.report.voting.voting_page import voting_page
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.voting.folder import VoteLog, read_votes
from panic_hpc.voting.questions import questions_on
from panic_hpc.voting.server import VoteServer
from panic_hpc.voting.votes import Comment, Like, Preference, latest, read_votes_file

READY = "document.documentElement.dataset.ready"
NAMED = "document.getElementById('voter').value = {!r}"
in_chromium = pytest.mark.programs("chromium")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "profile") as started:
        yield started


def written(dataset: Dataset, *, is_served: bool = False) -> bytes:
    questions = questions_on(all_arms([dataset]), 12)
    return voting_page(questions, dataset.content_key, title="<b>D</b>", is_served=is_served)


@contextmanager
def served(dataset: Dataset, folder: Path) -> Iterator[VoteServer]:
    with VoteLog(folder) as log, VoteServer(written(dataset, is_served=True), log) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@in_chromium
@pytest.mark.parametrize("width", [1440, 390])
def test_a_page_from_the_disk_gives_a_file_that_is_imported(
    browser: Browser, dataset: Dataset, tmp_path: Path, width: int
) -> None:
    (tmp_path / "vote.html").write_bytes(written(dataset))
    browser.open(tmp_path / "vote.html", width=width)
    browser.wait(READY)
    browser.press("ArrowLeft")
    assert "Your name first" in browser.evaluate("document.getElementById('saved').textContent")
    browser.evaluate(NAMED.format("Ada <i>"))
    browser.evaluate("document.activeElement.blur()")
    for key in ("ArrowLeft", "ArrowDown", "ArrowRight"):
        browser.press(key)
    browser.evaluate("document.querySelector('.like').click()")
    browser.evaluate(
        "const box = document.querySelector('.comment'); box.value = '</script> grey';"
        "box.dispatchEvent(new Event('change'))"
    )
    (tmp_path / "sent.json").write_text(browser.evaluate("download()"))
    votes = read_votes_file(tmp_path / "sent.json").votes
    assert [type(vote) for vote in votes] == [Preference, Preference, Preference, Like, Comment]
    assert [v.better for v in votes if isinstance(v, Preference)] == ["one", "neither", "other"]
    assert {vote.voter for vote in votes} == {"Ada <i>"}
    root = "document.documentElement"
    assert browser.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"), "it scrolls sideways"
    assert all(one.startswith(("file:", "data:", "blob:")) for one in browser.requests)
    assert browser.troubles == []


@in_chromium
def test_who_goes_back_changes_an_answer_and_a_reload_forgets_none(
    browser: Browser, dataset: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "vote.html").write_bytes(written(dataset))
    browser.open(tmp_path / "vote.html")
    browser.wait(READY)
    browser.evaluate(NAMED.format("Ada"))
    for key in ("ArrowLeft", "Backspace", "ArrowRight"):
        browser.press(key)
    browser.open(tmp_path / "vote.html")
    browser.wait(READY)
    found = json.loads(browser.evaluate("download()"))["votes"]
    assert [vote["better"] for vote in found] == ["other"]
    assert browser.evaluate("document.getElementById('count').textContent").startswith("2 of 12")


@in_chromium
def test_strings_of_a_dataset_stay_text_and_networks_are_not_named(
    browser: Browser, dataset: Dataset, tmp_path: Path
) -> None:
    page = written(dataset)
    assert b"Painter" not in page
    assert b"Teller" not in page
    (tmp_path / "vote.html").write_bytes(page)
    browser.open(tmp_path / "vote.html")
    browser.wait(READY)
    seen = set()
    for _ in range(12):
        seen.add(browser.evaluate("document.getElementById('prompt').textContent"))
        browser.evaluate("document.getElementById('on').click()")
    assert "<script>window.broken = 1</script>" in seen
    assert "evil \\u202egnp.exe" in seen
    assert browser.evaluate("window.broken") is None
    assert browser.evaluate("document.querySelectorAll('main script, header b').length") == 0
    # The page of the disk may send nothing anywhere.
    refused = "fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')"
    assert browser.evaluate(refused) == "refused"
    # The console's word may come behind the page's.
    wait_for(
        lambda: (
            browser.evaluate("1") and any("Content Security" in one for one in browser.troubles)
        ),
        "the policy's refusal",
    )


@in_chromium
def test_a_served_page_keeps_each_answer(
    browser: Browser, dataset: Dataset, tmp_path: Path
) -> None:
    with served(dataset, tmp_path / "votes") as server:
        browser.visit(server.address)
        browser.wait(READY)
        browser.evaluate(NAMED.format("Ada"))
        for key in ("ArrowLeft", "ArrowRight", "Backspace", "ArrowDown"):
            browser.press(key)
        # Of the first answers the page says so too, before the last one is on its way.
        wait_for(lambda: server.n_kept == 3, "three answers")
        browser.wait("document.getElementById('saved').textContent === 'kept'")
        kept = latest(read_votes(tmp_path / "votes").votes)
    assert sorted(vote.better for vote in kept if isinstance(vote, Preference)) == [
        "neither",
        "one",
    ]
    assert browser.troubles == []


def asked(
    server: VoteServer, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=120)
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body or None, told)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


VOTE = json.dumps(
    {"kind": "like", "voter": "Ada", "at": 1.0, "of": {"run": "a" * 32, "step": 1}, "likes": True}
).encode()


def test_the_server_takes_votes_of_its_page_alone(dataset: Dataset, tmp_path: Path) -> None:
    as_json = {"Content_Type": "application/json"}
    with served(dataset, tmp_path) as server:
        query = f"?{urlsplit(server.address).query}"
        assert server.server_address[0] == "127.0.0.1"
        assert asked(server, "GET", f"/{query}")[0] == 200
        assert asked(server, "GET", "/")[0] == 403
        assert asked(server, "GET", "/?token=guess")[0] == 403
        assert asked(server, "GET", f"/../votes{query}")[0] == 404
        assert asked(server, "GET", f"/{query}", Host="evil.example")[0] == 403
        assert asked(server, "POST", "/vote", VOTE, **as_json)[0] == 403
        assert asked(server, "POST", f"/vote{query}", VOTE, Content_Type="text/plain")[0] == 403
        assert asked(server, "POST", f"/vote{query}", VOTE, **as_json, Host="evil")[0] == 403
        assert asked(server, "POST", f"/vote{query}", b"x" * 20_000, **as_json)[0] == 413
        status, told = asked(server, "POST", f"/vote{query}", b'{"kind": "like"}', **as_json)
        assert (status, "voter is missing" in told) == (400, True)
        assert asked(server, "POST", f"/vote{query}", b"[" * 5_000, **as_json)[0] == 400
        assert read_votes(tmp_path).votes == []
        assert asked(server, "POST", f"/vote{query}", VOTE, **as_json)[0] == 204
        assert len(read_votes(tmp_path).votes) == 1


def sent(server: VoteServer, content: bytes, *, resets: bool = False) -> bytes:
    """Return what the server answers to raw bytes; with `resets`, go away without reading it."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(content)
        if resets:
            # Closed so, the other side's next write is an error.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return b""
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_what_is_no_request_is_answered_and_a_closed_tab_is_no_news(
    dataset: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with served(dataset, tmp_path) as server:
        query = f"?{urlsplit(server.address).query}"
        host = f"Host: 127.0.0.1:{server.server_port}\r\n"
        assert b" 400 " in sent(server, b"GET http://[ HTTP/1.1\r\n\r\n")
        assert b" 403 " in sent(server, b"GET //[ HTTP/1.1\r\n\r\n")
        long = f"POST /vote{query} HTTP/1.1\r\n{host}Content-Type: application/json\r\n"
        long += f"Content-Length: {'9' * 5000}\r\n\r\n"
        assert b" 413 " in sent(server, long.encode())
        for _ in range(5):
            sent(server, f"GET /{query} HTTP/1.1\r\n{host}\r\n".encode(), resets=True)
        try:
            raise ConnectionResetError
        except ConnectionResetError:
            server.handle_error(None, None)
        assert asked(server, "GET", f"/{query}")[0] == 200
    assert "Traceback" not in capfd.readouterr().err
