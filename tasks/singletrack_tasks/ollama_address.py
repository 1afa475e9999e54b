"""OLLAMA_HOST as Ollama reads it (its `envconfig.Host`), turned into a URL that a client can use."""

import ipaddress
import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

DEFAULT_PORT = 11434
DEFAULT_URL = f"http://127.0.0.1:{DEFAULT_PORT}"
EXAMPLE = f"http://localhost:{DEFAULT_PORT} or gpu-host:{DEFAULT_PORT}"
_SCHEME_PORTS = {"http": 80, "https": 443}
_LARGEST_PORT = 65535
_NAME = re.compile(r"[\w.-]*")


def client_url(host: str) -> str:
    """The URL for a value such as `host`, `host:port`, `:port`, `[::1]:port`, or a whole URL.

    A wildcard address, which a server can listen on but no client can call, becomes the loopback address; a user and
    password stay in the URL. Raises `ValueError`, which shows no password, for what Ollama could only guess at.
    """
    value = host.strip().strip("\"'").strip()
    scheme, separator, rest = value.partition("://")
    if not separator:
        scheme, rest = "http", value
    scheme = scheme.lower()
    authority, slash, path = rest.partition("/")
    user, at, place = authority.rpartition("@")
    name, port = _split(place)
    reason = _whole(scheme, rest) or _path(path) or _place(name, port, bare=not separator, more=rest != name)
    if reason is None and value and not place:
        reason = "it has no host"
    if reason is not None:
        raise ValueError(
            f"{shown_url(host)!r} is not the address of an Ollama server: {reason}. Expected something like {EXAMPLE}."
        )
    default_port = _SCHEME_PORTS[scheme] if separator else DEFAULT_PORT
    url = f"{scheme}://{user}{at}{_reachable(name)}:{port or default_port}"
    return f"{url}{slash}{path}".rstrip("/")


def configured_url(environ: Mapping[str, str]) -> str | None:
    """The URL that OLLAMA_HOST gives, None if it is not set; raises `ValueError` as `client_url` does."""
    host = environ.get("OLLAMA_HOST", "").strip()
    return client_url(host) if host else None


def server_name(url: str, host: str) -> str:
    """Name the server behind a URL, HOST:PORT, as every machine may: a loopback address is that of this `host`.

    Raises `ValueError` as `client_url` does.
    """
    address = client_url(url)
    parts = urlsplit(address)
    name = host if is_this_machine(address) else parts.hostname or ""
    return f"{name.lower()}:{parts.port}"


def shown_url(url: str) -> str:
    """The address for messages: without its user and password, and without a query, which may hold a token."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    return f"{scheme}{separator}{re.split(r'[?#]', rest.rpartition('@')[2], maxsplit=1)[0]}"


def is_this_machine(url: str) -> bool:
    """Whether an address is a loopback one, which is never asked through a proxy."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def proxy_for(url: str) -> str | None:
    """The proxy of the environment through which `requests` asks a server, None if it is asked directly."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_this_machine(url) or _needs_none(host, parts.port) or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def _needs_none(host: str, port: int | None) -> bool:
    """Whether NO_PROXY names a host: as the end of its name, with or without its port, or by its IPv4 network."""
    listed = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").replace(" ", "").split(",")
    ends = () if _is_ipv4(host) else tuple(filter(None, listed))
    return host.endswith(ends) or f"{host}:{port}".endswith(ends) or any(_is_within(host, it) for it in listed)


def _is_within(host: str, network: str) -> bool:
    if not _is_ipv4(host):
        return False
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _is_ipv4(host: str) -> bool:
    return _is_ip(host) and ":" not in host


def _whole(scheme: str, rest: str) -> str | None:
    """What is wrong with it whatever its parts are, None if nothing is."""
    if scheme not in _SCHEME_PORTS:
        return "its scheme is neither http nor https"
    if re.search(r"[\s\x00-\x1f\\]", rest):
        return "it has a blank, a control character or a backslash in it"
    if "?" in rest or "#" in rest:
        return "it has a query or a fragment; in a password write ? as %3F and # as %23"
    return None


def _path(path: str) -> str | None:
    if "@" in path:
        return "its password has a slash, which is written %2F there, or its path an @"
    return "it has two slashes in a row" if path.startswith("/") else None


def _place(name: str, port: str, *, bare: bool, more: bool) -> str | None:
    """What is wrong with a host and its port; `bare` without a scheme, `more` if something follows the host."""
    if bare and more and name.lower() in _SCHEME_PORTS:
        return "after the scheme comes ://"
    if not (_NAME.fullmatch(name) or _is_ip(name)):
        return "its host has characters that no host's name has"
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) <= _LARGEST_PORT):
        return f"its port is not a number from 1 to {_LARGEST_PORT}"
    return None


def _split(place: str) -> tuple[str, str]:
    """The host, without brackets, and the port, either of them possibly empty."""
    if _is_ip(place.strip("[]")):
        return place.strip("[]"), ""
    name, _, port = place.rpartition(":") if ":" in place else (place, "", "")
    return (name[1:-1] if name.startswith("[") and name.endswith("]") else name), port


def _reachable(name: str) -> str:
    if not name:
        return "127.0.0.1"
    if not _is_ip(name):
        return name
    address = ipaddress.ip_address(name)
    if address.version == 6:
        return "[::1]" if address.is_unspecified else f"[{name}]"
    return "127.0.0.1" if address.is_unspecified else name


def _is_ip(text: str) -> bool:
    # What is behind the % of an IPv6 address may be anything, says `ipaddress`: brackets and a port, too.
    if re.search(r"%.*[\[\]:]", text):
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
