"""What `singletrack doctor` finds at an Ollama server: asked as the worker asks it, past a proxy on this machine."""

from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import requests

from singletrack_tasks.model_name import is_same_name
from singletrack_tasks.ollama_address import client_url, is_this_machine, proxy_for, shown_url

_TIMEOUT_S = 5.0
_SHOWN_MODELS = 20


class OllamaFinding(NamedTuple):
    """A verdict on the server and its model, why, and what to do."""

    verdict: Literal["ok", "note", "problem"]
    text: str
    advice: str = ""


def check_ollama(host: str, model: str) -> OllamaFinding:
    """Look whether a server, named as in OLLAMA_HOST, answers and has a model that takes images."""
    try:
        address = client_url(host)
    except ValueError as error:
        return OllamaFinding("problem", str(error), "Correct SINGLETRACK_OLLAMA_URL, or OLLAMA_HOST.")
    with requests.Session() as session:
        session.trust_env = not is_this_machine(address)
        try:
            answer = session.get(f"{address}/api/tags", timeout=_TIMEOUT_S, allow_redirects=False)
            if (refused := _refused(address, answer)) is not None:
                return refused
            answer.raise_for_status()
            models = [str(it["name"]) for it in answer.json()["models"]]
            if not any(is_same_name(model, name) for name in models):
                return _missing(address, model, models)
            return _sight(address, model, _capabilities(session, address, model))
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            return _silent(address, error)


def _refused(address: str, answer: requests.Response) -> OllamaFinding | None:
    """Tell of a redirect, or of a password that is missing; None if it is neither."""
    if answer.is_redirect:
        to = shown_url(answer.headers["Location"])
        return OllamaFinding("problem", f"{shown_url(address)} redirects to {to}", "Set SINGLETRACK_OLLAMA_URL to it.")
    if answer.status_code in (requests.codes.unauthorized, requests.codes.forbidden):
        text = f"{shown_url(address)} wants a user and password (HTTP {answer.status_code})"
        advice = "Put them into SINGLETRACK_OLLAMA_URL, https://USER:PASSWORD@HOST, percent-encoded."
        return OllamaFinding("problem", text, advice)
    return None


def _missing(address: str, model: str, models: list[str]) -> OllamaFinding:
    have = ", ".join(models[:_SHOWN_MODELS]) or "none"
    more = f" and {len(models) - _SHOWN_MODELS} more" if len(models) > _SHOWN_MODELS else ""
    advice = f"`ollama pull {model}`, or set SINGLETRACK_VLM_MODEL to one that it has."
    return OllamaFinding("problem", f"{shown_url(address)} does not have {model}. It has: {have}{more}", advice)


def _capabilities(session: requests.Session, address: str, model: str) -> list[Any] | None:
    answer = session.post(f"{address}/api/show", json={"model": model}, timeout=_TIMEOUT_S, allow_redirects=False)
    said = answer.json().get("capabilities") if answer.ok else None
    return said if isinstance(said, list) else None


def _sight(address: str, model: str, capabilities: list[Any] | None) -> OllamaFinding:
    has = f"{shown_url(address)} answers and has {model}"
    if capabilities is None or "vision" in capabilities:
        return OllamaFinding("ok", has)
    advice = "Questions with images are refused. Set SINGLETRACK_VLM_MODEL to a model with the capability `vision`."
    return OllamaFinding("note", f"{has}, which takes no images", advice)


def _silent(address: str, error: Exception) -> OllamaFinding:
    text = f"{shown_url(address)} does not answer ({type(error).__name__})"
    proxy = proxy_for(address)
    if proxy is None:
        advice = "Start it (`ollama serve`), or set SINGLETRACK_OLLAMA_URL to its address."
        return OllamaFinding("problem", text, advice)
    advice = f"If the proxy is in the way, add {urlsplit(address).hostname} to NO_PROXY, for the worker as well."
    return OllamaFinding("problem", f"{text} through the proxy {shown_url(proxy)}", advice)
