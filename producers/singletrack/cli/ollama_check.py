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
            models = [str(it["name"]) for it in answer.json()["models"]]
            if not any(is_same_name(model, name) for name in models):
                return _missing(address, model, models)
            return _sight(address, model, _capabilities(session, address, model))
        except requests.JSONDecodeError:
            return _other(address, "answers, but not as Ollama does")
        except requests.RequestException as error:
            return _silent(address, error)
        except (ValueError, LookupError, TypeError, AttributeError):
            return _other(address, "answers, but not as Ollama does")


def _refused(address: str, answer: requests.Response) -> OllamaFinding | None:
    """Tell of a redirect, of a password that is missing, and of whatever else is no success; None if it is one."""
    if answer.is_redirect:
        to = shown_url(answer.headers["Location"])
        return OllamaFinding("problem", f"{shown_url(address)} redirects to {to}", "Set SINGLETRACK_OLLAMA_URL to it.")
    into = "SINGLETRACK_OLLAMA_URL, https://USER:PASSWORD@HOST, percent-encoded."
    if answer.status_code == requests.codes.unauthorized:
        text = f"{shown_url(address)} wants a user and password (HTTP {answer.status_code})"
        return OllamaFinding("problem", text, f"Put them into {into}")
    if answer.status_code == requests.codes.forbidden:
        advice = (
            "If that is Ollama itself, name it by localhost or its IP address: it forbids names that it does not "
            f"know. If it is a proxy that wants a user and password, put them into {into}"
        )
        text = f"{shown_url(address)} forbids it (HTTP {answer.status_code})"
        return _behind_proxy(OllamaFinding("problem", text, advice), address)
    return None if answer.ok else _other(address, f"answers HTTP {answer.status_code}")


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


def _other(address: str, what: str) -> OllamaFinding:
    """Tell of an answer that is none of Ollama's."""
    advice = "Is it an Ollama server? Set SINGLETRACK_OLLAMA_URL to the address of one, without a path such as /v1."
    return _behind_proxy(OllamaFinding("problem", f"{shown_url(address)} {what}", advice), address)


def _silent(address: str, error: Exception) -> OllamaFinding:
    text = f"{shown_url(address)} does not answer ({type(error).__name__})"
    advice = "Start it (`ollama serve`), or set SINGLETRACK_OLLAMA_URL to its address."
    if isinstance(error, requests.exceptions.SSLError):
        text = f"{shown_url(address)} cannot be spoken to over TLS"
        advice = "Write http:// if it speaks no TLS there; else trust its certificate with REQUESTS_CA_BUNDLE."
    return _behind_proxy(OllamaFinding("problem", text, advice), address)


def _behind_proxy(finding: OllamaFinding, address: str) -> OllamaFinding:
    proxy = proxy_for(address)
    if proxy is None:
        return finding
    advice = f"If the proxy is in the way, add {urlsplit(address).hostname} to NO_PROXY, for the worker as well."
    text = f"{finding.text} through the proxy {shown_url(proxy)}"
    return finding._replace(text=text, advice=f"{finding.advice} {advice}")
