"""Proxies, as `http_proxy`, `https_proxy` and `no_proxy` in the environment say, in either case.

A proxy is `http://[USER:PASSWORD@]HOST[:PORT]`, or `HOST:PORT` alone. `no_proxy` has names (of all
hosts below them too), addresses, networks as 10.0.0.0/8, each perhaps with a port; `*` is all.
Another proxy than one of http is refused: what is asked would go past it.
"""

import base64
import ipaddress
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from panic_hpc.errors import RemoteError

PORTS = {"http": 80, "https": 443}


class Proxy(NamedTuple):
    """Where a proxy is, and the headers that it alone is sent."""

    host: str
    port: int
    headers: Mapping[str, str]


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine by its address, or as localhost."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def proxy_for(url: SplitResult) -> Proxy | None:
    """Return the proxy that an address is asked through, None for none; never for this machine.

    Raises RemoteError where what is set is no proxy of http.
    """
    host = url.hostname or ""
    told = urllib.request.getproxies().get(url.scheme, "").strip()
    if not told or is_loopback(host) or _is_excepted(host, url.port or PORTS[url.scheme]):
        return None
    return _parsed(f"{url.scheme}_proxy", told)


def _parsed(variable: str, told: str) -> Proxy:
    try:
        # Without a scheme a host would be read as one, or as a path, and the proxy passed by.
        parts = urlsplit(told if "://" in told else f"http://{told}")
        host, port = parts.hostname, parts.port or PORTS["http"]
    except ValueError:
        parts, host, port = urlsplit(""), None, 0
    if parts.scheme != "http" or not host:
        # Not what was told: there may be a password in it.
        raise RemoteError(
            f"{variable} is no proxy that can be used: http://HOST:PORT was expected",
            hint=f"Set {variable} otherwise, or no_proxy for the server, then `panic-hpc retry`",
        )
    return Proxy(host, port, _let_in(parts))


def _let_in(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _is_excepted(host: str, port: int) -> bool:
    # With its port: an entry may have one.
    if urllib.request.proxy_bypass(f"{host}:{port}"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    entries = urllib.request.getproxies().get("no", "").split(",")
    return any(_is_in(address, entry.strip()) for entry in entries)


def _is_in(address: ipaddress.IPv4Address | ipaddress.IPv6Address, entry: str) -> bool:
    with suppress(ValueError):
        return address in ipaddress.ip_network(entry, strict=False)
    return False
