"""Where Redis is, with TLS: one address that redis-py, kombu and Celery read alike, and what a bad certificate means.

Without a word about it in the address, each of them decides by itself whether certificates are verified.
"""

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

TLS_SCHEME = "rediss"
_EXAMPLE = "redis://:PASSWORD@HOST:6379/0"
_DATABASE = re.compile(r"/?\d*/?")
_VERIFY = "ssl_cert_reqs"
_LEVELS = ("required", "optional", "none")

CA_FILE_HELP = (
    "With `rediss://`: the certificates of the authorities to trust, PEM. Unset: those that this machine trusts."
)
CERT_FILE_HELP = "With `rediss://`: this side's certificate, PEM, for a server that asks for one."
KEY_FILE_HELP = "With `rediss://`: the key of `SINGLETRACK_REDIS_CERT_FILE`, PEM."


def check_address(url: str) -> str:
    """Return the address of a Redis server; raises `ValueError`, which shows no password, for anything else."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("redis", TLS_SCHEME):
        raise ValueError(f"{redact(url)!r} does not begin with redis:// or rediss://; it looks like {_EXAMPLE}")
    _check_password(rest)
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_place = False  # its text would quote what may be a part of the password
    if not has_place:
        raise ValueError(
            f"{redact(url)!r} is not the address of a Redis server: it needs a host, and its port, if any, is a "
            f"number; it looks like {_EXAMPLE}"
        )
    if not _DATABASE.fullmatch(parts.path):
        raise ValueError(f"the database in {redact(url)!r} must be a number, as in {_EXAMPLE}")
    with_tls(url, ca_file=None, cert_file=None, key_file=None)
    return url


def redact(url: str) -> str:
    """Return a URL without its user's password, and without a user that may be one."""
    secret, at, place = url.rpartition("@")
    if not at:
        return url
    scheme, separator, secret = secret.rpartition("://") if "://" in secret else ("", "", secret)
    user, colon, _ = secret.partition(":")
    return f"{scheme}{separator}{user if colon and user.isalnum() else ''}{':' if colon else ''}***@{place}"


def _check_password(rest: str) -> None:
    """Refuse what comes after `://` if its user or password has to be percent-encoded and is not."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path, _, query = rest[len(authority) :].partition("?")
    # An @ in an option, as in the name of a file with certificates, is no end of a password.
    stray = path + "".join(option for option in query.split("&") if "=" not in option) + query.partition("#")[2]
    if "@" in stray or re.search(r"[\[\]\s]", authority.rpartition("@")[0]):
        raise ValueError(
            "the user or the password in it has a character that must be percent-encoded: / is written %2F, ? %3F, "
            "# %23, [ %5B, ] %5D, % %25, @ %40, : %3A, a blank %20."
        )


def with_tls(url: str, *, ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> str:
    """Complete the address of a server: certificates are verified unless it says `ssl_cert_reqs=none`.

    What the address itself says comes before the files. Raises `ValueError` for an unknown `ssl_cert_reqs`.
    """
    parts = urlsplit(url)
    if parts.scheme != TLS_SCHEME:
        return url
    files = {"ssl_ca_certs": ca_file, "ssl_certfile": cert_file, "ssl_keyfile": key_file}
    options = {name: str(file) for name, file in files.items() if file is not None} | dict(parse_qsl(parts.query))
    options[_VERIFY] = options.get(_VERIFY, "required").lower().removeprefix("cert_")
    if options[_VERIFY] not in _LEVELS:
        raise ValueError(f"{_VERIFY} in the address must be one of {', '.join(_LEVELS)}")
    return parts._replace(query=urlencode(options, safe="/")).geturl()


def tls_options(url: str) -> dict[str, str] | None:
    """Return the options of a complete address that concern TLS, None for one without TLS."""
    parts = urlsplit(url)
    if parts.scheme != TLS_SCHEME:
        return None
    return {name: value for name, value in parse_qsl(parts.query) if name.startswith("ssl_")}


def check_file(file: Path | None) -> Path | None:
    """Return a file that is there; raises `ValueError`."""
    if file is not None and not file.is_file():
        raise ValueError(f"there is no file {file}")
    return file


def tls_advice(text: str) -> str | None:
    """Say what a failed handshake means and what to do, None for any other error; `text` is OpenSSL's."""
    if not any(mark in text for mark in ("[SSL", "CERTIFICATE_", "certificate verify failed")):
        return None
    for mark, advice in _ADVICE:
        if mark in text:
            return advice
    return f"cannot be spoken to over TLS ({text}). Check the certificates at both ends."


_UNKNOWN_AUTHORITY = (
    "has a certificate of an unknown authority. Put the authority's into a file, SINGLETRACK_REDIS_CA_FILE."
)
_ADVICE = (
    ("certificate has expired", "has a certificate that has expired. Renew it at the server."),
    ("certificate is not yet valid", "has a certificate that is not valid yet. Check the clocks of both machines."),
    (
        "Hostname mismatch",
        "has a certificate for another name. Use the name that it is for in SINGLETRACK_REDIS_URL.",
    ),
    (
        "IP address mismatch",
        "has a certificate for another address. Use the name that it is for in SINGLETRACK_REDIS_URL.",
    ),
    ("self-signed certificate", _UNKNOWN_AUTHORITY),
    ("self signed certificate", _UNKNOWN_AUTHORITY),
    ("issuer certificate", _UNKNOWN_AUTHORITY),
    ("unable to verify the first certificate", _UNKNOWN_AUTHORITY),
    (
        "CERTIFICATE_REQUIRED",
        "asks for a certificate. Set SINGLETRACK_REDIS_CERT_FILE and SINGLETRACK_REDIS_KEY_FILE.",
    ),
    ("WRONG_VERSION_NUMBER", "does not speak TLS at this port. Use redis://, or the server's port for TLS."),
)
