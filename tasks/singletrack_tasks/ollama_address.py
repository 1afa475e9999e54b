"""OLLAMA_HOST as Ollama reads it (its `envconfig.Host`), turned into a URL that a client can use."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

DEFAULT_PORT = 11434
DEFAULT_URL = f"http://127.0.0.1:{DEFAULT_PORT}"
_SCHEME_PORTS = {"http": 80, "https": 443}
_LARGEST_PORT = 65535


def client_url(host: str) -> str:
    """The URL for a value such as `host`, `host:port`, `:port`, `[::1]:port`, or a whole URL.

    A wildcard address, which a server can listen on but no client can call, becomes the loopback
    address. An invalid port is replaced by the default, as in Ollama.
    """
    value = host.strip().strip("\"'").strip()
    scheme, separator, rest = value.partition("://")
    if not separator:
        scheme, rest = "http", value
    default_port = _SCHEME_PORTS.get(scheme, DEFAULT_PORT) if separator else DEFAULT_PORT
    authority, _, path = rest.partition("/")
    name, port = _split(authority, default_port)
    url = f"{scheme}://{_reachable(name)}:{port}"
    return f"{url}/{path}".rstrip("/")


def configured_url(environ: Mapping[str, str]) -> str | None:
    """The URL that OLLAMA_HOST gives; None if it is not set."""
    host = environ.get("OLLAMA_HOST", "").strip()
    return client_url(host) if host else None


def server_name(url: str, host: str) -> str:
    """Name the server behind a URL, HOST:PORT, as every machine may: a loopback address is that of this `host`."""
    parts = urlsplit(client_url(url))
    name = (parts.hostname or "").lower()
    own = name == "localhost" or (_is_ip(name) and ipaddress.ip_address(name).is_loopback)
    return f"{host.lower() if own else name}:{parts.port}"


def _split(authority: str, default_port: int) -> tuple[str, int]:
    """The host, without brackets and possibly empty, and the port."""
    if _is_ip(authority.strip("[]")):
        return authority.strip("[]"), default_port
    name, _, port = authority.rpartition(":") if ":" in authority else (authority, "", "")
    number = int(port) if port.isascii() and port.isdigit() else default_port
    return name.strip("[]"), number if number <= _LARGEST_PORT else default_port


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
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
