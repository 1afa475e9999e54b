"""Asks a server over HTTP; None stands for no answer and for an unusable one."""

from urllib.parse import urlsplit

import requests

from singletrack_ops.local.loopback import is_loopback


def get_text(url: str, timeout_s: float, auth: tuple[str, str] | None = None) -> str | None:
    """The text of a GET's answer, None unless its status is 200; `auth` is user and password."""
    answer = _get(url, timeout_s, auth)
    return None if answer is None else answer.text


def get_json(url: str, timeout_s: float) -> object | None:
    """The JSON of a GET's answer, None unless its status is 200 and its body is JSON."""
    answer = _get(url, timeout_s)
    try:
        return None if answer is None else answer.json()
    except ValueError:
        return None


def _get(url: str, timeout_s: float, auth: tuple[str, str] | None = None) -> requests.Response | None:
    with requests.Session() as session:
        session.trust_env = not is_loopback(urlsplit(url).hostname or "")  # a proxy cannot reach this machine
        try:
            answer = session.get(url, timeout=timeout_s, auth=auth)
        except requests.RequestException:
            return None
    return answer if answer.status_code == requests.codes.ok else None
