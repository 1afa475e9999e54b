"""OLLAMA_HOST is read as Ollama reads it, and always gives a URL that can be called."""

import pytest
import requests

from singletrack_ops.embedded.ollama_server import find_ollama
from singletrack_ops.errors import OllamaUnavailable
from singletrack_tasks.ollama_address import client_url, configured_url, proxy_for, server_name


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("gpu-box", "http://gpu-box:11434"),
        ("gpu-box:1234", "http://gpu-box:1234"),
        (":1234", "http://127.0.0.1:1234"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:1234", "http://127.0.0.1:1234"),
        ("[::]:1234", "http://[::1]:1234"),
        ("::1", "http://[::1]:11434"),
        ("[::1]:1234", "http://[::1]:1234"),
        ("192.168.1.7", "http://192.168.1.7:11434"),
        ("http://gpu-box", "http://gpu-box:80"),
        ("https://gpu-box", "https://gpu-box:443"),
        ("http://gpu-box:1234/", "http://gpu-box:1234"),
        ("https://gpu-box/ollama/", "https://gpu-box:443/ollama"),
        ("http://0.0.0.0:1234", "http://127.0.0.1:1234"),
        ("http://:1234", "http://127.0.0.1:1234"),
        ("HTTPS://gpu-box", "https://gpu-box:443"),
        ("gpu-box:", "http://gpu-box:11434"),
        ("http-box:1234", "http://http-box:1234"),
        ("https://me:p%40ss@gpu-box", "https://me:p%40ss@gpu-box:443"),
        ("http://me:p@ss@gpu-box:1234/ollama", "http://me:p@ss@gpu-box:1234/ollama"),
        ("http://me:pw@[::1]:1234", "http://me:pw@[::1]:1234"),
        ("[fe80::1%eth0]:1234", "http://[fe80::1%eth0]:1234"),
        ("http://[fe80::1%25eth0]:1234", "http://[fe80::1%25eth0]:1234"),
        ("fe80::1%eth0", "http://[fe80::1%eth0]:11434"),
        (' "gpu-box:1234" ', "http://gpu-box:1234"),
        ("", "http://127.0.0.1:11434"),
    ],
)
def test_a_client_can_call_what_a_server_listens_on(host: str, url: str) -> None:
    assert client_url(host) == url


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("http://gpu-box:11434?x=1", "a query"),
        ("http://gpu-box:11434/#here", "a fragment"),
        ("gpu-box?x=1", "a query"),
        ("http//localhost:11434", "://"),
        ("http:/localhost:11434", "://"),
        ("http:localhost:11434", "://"),
        ("https:11434", "://"),
        ("http:////localhost", "no host|two slashes"),
        ("gpu-box//ollama", "two slashes"),
        ("http://", "no host"),
        ("/ollama", "no host"),
        ("ftp://gpu-box", "neither http nor https"),
        ("gpu-box:port", "port"),
        ("gpu-box:70000", "port"),
        ("gpu-box:0", "port"),
        ("gpu-box:-1", "port"),
        ("gpu-box:1:2", "host"),
        ("gpu box", "blank"),
        ("gpu-box\\ollama", "backslash"),
        ("gpu-box,other-box", "host"),
        ("[gpu-box", "host"),
    ],
)
def test_what_ollama_could_only_guess_at_is_refused(host: str, why: str) -> None:
    with pytest.raises(ValueError, match=rf"is not the address of an Ollama server: .*({why}).*gpu-host:11434"):
        client_url(host)


@pytest.mark.parametrize(
    "host",
    [
        "ftp://me:hunter2@gpu-box",
        "http://me:hun/ter2@gpu-box",
        "http://me:hunter2#@gpu-box",
        "http://me:?hunter2@gpu-box:1",
        "me:hunter2@gpu-box:port",
        "hunter2@gpu box",
        "http://gpu-box?token=hunter2",
    ],
)
def test_a_refusal_shows_no_secret(host: str) -> None:
    with pytest.raises(ValueError, match=r"gpu[- ]box") as caught:
        client_url(host)
    assert "ter2" not in str(caught.value)


@pytest.mark.parametrize("environ", [{}, {"OLLAMA_HOST": ""}, {"OLLAMA_HOST": "  "}])
def test_not_set_is_not_configured(environ: dict[str, str]) -> None:
    assert configured_url(environ) is None


def test_set_is_configured() -> None:
    assert configured_url({"OLLAMA_HOST": ":9"}) == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://127.0.0.1:11434", "here:11434"),
        ("localhost", "here:11434"),
        ("http://[::1]:11435", "here:11435"),
        ("0.0.0.0", "here:11434"),
        ("http://HERE:11434", "here:11434"),
        ("http://gpu-host:80", "gpu-host:80"),
        ("https://gpu-host", "gpu-host:443"),
        ("http://10.0.0.7:11434/", "10.0.0.7:11434"),
    ],
)
def test_a_server_has_one_name_on_every_machine(url: str, name: str) -> None:
    assert server_name(url, "Here") == name


@pytest.mark.parametrize("variable", ["SINGLETRACK_OLLAMA_URL", "OLLAMA_HOST"])
def test_a_stack_says_which_variable_is_wrong(variable: str) -> None:
    with pytest.raises(OllamaUnavailable, match=f"{variable}.*'gpu-box:port'.*port"):
        find_ollama({variable: "gpu-box:port"}, allow_sandbox=True)


NO_PROXY = ["", "*", "gpu-box", "gpu-box:11434", "gpu-box:1", ".local", "local", "*.local", " x , gpu-box", "GPU-BOX"]
NO_PROXY += ["10.0.0.0/8", "10.0.0.5", "10.0.0.5/33", "5", "10.*", "fd00::1", "[fd00::1]", "fd00::/8", "http://gpu-box"]


@pytest.mark.parametrize("listed", NO_PROXY)
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_a_proxy_is_named_where_one_is_asked(listed: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv(variable, listed)
    for host in ("gpu-box", "me:pw@gpu-box", "GPU-box", "box.local", "10.0.0.5", "11.0.0.5", "[fd00::1]"):
        url = client_url(f"{host}:11434")
        asked = requests.Session().merge_environment_settings(url, {}, None, None, None)["proxies"]
        assert proxy_for(url) == requests.utils.select_proxy(url, asked), url
