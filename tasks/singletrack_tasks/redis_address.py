"""Where Redis is, with TLS: one address that redis-py, kombu and Celery read alike, and what a bad certificate means.

Without a word about it in the address, each of them decides by itself whether certificates are verified.
"""

from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

TLS_SCHEME = "rediss"
_VERIFY = "ssl_cert_reqs"
_LEVELS = ("required", "optional", "none")

CA_FILE_HELP = (
    "With `rediss://`: the certificates of the authorities to trust, PEM. Unset: those that this machine trusts."
)
CERT_FILE_HELP = "With `rediss://`: this side's certificate, PEM, for a server that asks for one."
KEY_FILE_HELP = "With `rediss://`: the key of `SINGLETRACK_REDIS_CERT_FILE`, PEM."


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
