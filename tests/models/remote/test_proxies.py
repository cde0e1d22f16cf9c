"""Servers behind a proxy: asked through it, never past it, and its password is in no message."""

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from stub_proxy import SLOW_ANSWER, StubProxy, proxying
from stub_server import KEY, Handler, NoWaiting, Stub, drawn, serving

from panic_hpc import clock
from panic_hpc.errors import RemoteError
from panic_hpc.models.families.http_service import HttpModel
from panic_hpc.models.remote.exchange import HttpRequest, _tls, exchange
from panic_hpc.models.remote.proxies import proxy_for
from panic_hpc.types import IMAGE, TEXT, ModelSpec

FAR = "http://far.example:8188/draw"
NAMES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def stub() -> Iterator[Stub]:
    found = Stub()
    with serving(found), clock.replaced(NoWaiting()):
        yield found


@pytest.fixture
def proxy(stub: Stub) -> Iterator[StubProxy]:
    parts = urlsplit(stub.url)
    with proxying(StubProxy((str(parts.hostname), int(parts.port or 0)))) as found:
        yield found


def far(url: str = FAR, **changes: object) -> HttpModel:
    settings = {
        "url": url,
        "body": {"prompt": "{text}", "seed": "{seed}"},
        "answer": "data.*.b64",
        "attempts": 2,
        "timeout_s": 20.0,
        **changes,
    }
    model = HttpModel(ModelSpec("Far", "http", TEXT, IMAGE, "", "", "", 1, settings))
    model.load("cpu")
    return model


@pytest.mark.parametrize("form", ["http://127.0.0.1:{port}", "127.0.0.1:{port}", "{case}"])
def test_a_server_is_asked_through_the_proxy_that_is_set(
    proxy: StubProxy, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    name, value = (
        ("HTTP_PROXY", "http://127.0.0.1:{port}") if "case" in form else (*NAMES[:1], form)
    )
    monkeypatch.setenv(name, value.format(port=proxy.port))
    (output,) = far().generate(["a"], [3])
    assert np.array_equal(output.value, drawn("a", 3))
    ((method, asked, headers),) = proxy.asked
    assert (method, asked, headers["Host"]) == ("POST", FAR, "far.example:8188")
    assert "Proxy-Authorization" not in headers


def test_a_proxy_is_told_its_user_and_password_and_the_server_is_not(
    proxy: StubProxy, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.needs = "Basic YW5uYTpwQHNz"
    monkeypatch.setenv("http_proxy", f"http://anna:p%40ss@127.0.0.1:{proxy.port}/")
    (output,) = far().generate(["a"], [3])
    assert np.array_equal(output.value, drawn("a", 3))
    assert all("Proxy-Authorization" not in one["headers"] for one in stub.requests)
    proxy.needs = "Basic another"
    with pytest.raises(
        RemoteError, match=r"through the proxy 127\.0\.0\.1:\d+, fails \(407"
    ) as raised:
        far().generate(["a"], [3])
    assert "p@ss" not in str(raised.value)
    assert "p%40ss" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "excepted", "is_direct"),
    [
        (FAR, "", False),
        (FAR, "far.example", True),
        (FAR, "FAR.example, other", True),
        (FAR, ".example", True),
        (FAR, "far.example:8188", True),
        (FAR, "far.example:8189", False),
        (FAR, "notfar.example", False),
        (FAR, "ar.example", False),
        (FAR, "*", True),
        ("http://10.1.2.3/x", "10.0.0.0/8", True),
        ("http://10.1.2.3/x", "10.1.2.3:80", True),
        ("http://11.1.2.3/x", "10.0.0.0/8,far.example", False),
        ("http://[fd00::7]/x", "fd00::/8", True),
        ("http://127.0.0.1:9/x", "", True),
        ("http://localhost:9/x", "", True),
        ("https://far.example/x", "", True),
    ],
)
def test_what_no_proxy_has_is_asked_without_one(
    monkeypatch: pytest.MonkeyPatch, url: str, excepted: str, is_direct: bool
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", excepted)
    assert (proxy_for(urlsplit(url)) is None) == is_direct


@pytest.mark.parametrize(
    "value", ["socks5://u:secret@h:1080", "https://u:secret@h", "http://u:secret@", "http://h:x"]
)
def test_what_cannot_be_used_is_refused_and_not_passed_by(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("http_proxy", value)
    with pytest.raises(RemoteError, match="http_proxy is no proxy that can be used") as raised:
        far().generate(["a"], [3])
    assert "secret" not in str(raised.value)


def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, stub: Stub) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(RemoteError, match=r"far\.example:8188, through the proxy 127\.0\.0\.1:1,"):
        far().generate(["a"], [3])


def test_a_tunnel_that_opens_a_byte_at_a_time_is_given_up(
    proxy: StubProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
    proxy.slow_s = 0.05
    with pytest.raises(TimeoutError, match=r"no whole answer within 0\.5 s"):
        exchange(HttpRequest("https://far.example/x"), 0.5, 1000)
    assert proxy.n_sent < len(SLOW_ANSWER)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_https_goes_through_a_tunnel_and_the_key_is_the_server_s_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=far.example",
            "-addext",
            "subjectAltName=DNS:far.example",
            "-keyout",
            str(tmp_path / "key.pem"),
            "-out",
            str(tmp_path / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    stub = Stub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"stub": stub}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    monkeypatch.setenv("PANIC_HPC_KEY_STUB", KEY)
    _tls.cache_clear()
    keyed = {"key": "PANIC_HPC_KEY_STUB", "headers": {"Authorization": "Bearer {key}"}}
    try:
        with proxying(StubProxy(("127.0.0.1", server.server_address[1]), "Basic YTpi")) as proxy:
            monkeypatch.setenv("https_proxy", f"http://a:b@127.0.0.1:{proxy.port}")
            (output,) = far("https://far.example/draw", **keyed).generate(["a"], [3])
            assert np.array_equal(output.value, drawn("a", 3))
            (asked,) = proxy.asked
            assert asked[:2] == ("CONNECT", "far.example:443")
            assert KEY not in str(asked)
            assert stub.requests[0]["headers"]["Authorization"] == f"Bearer {KEY}"
            assert "Proxy-Authorization" not in stub.requests[0]["headers"]
            # Another name than the certificate's is nobody that a key is sent to.
            with pytest.raises(RemoteError, match="certificate verify failed"):
                far("https://other.example/draw", **keyed).generate(["a"], [3])
            assert len(stub.requests) == 1
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        _tls.cache_clear()
