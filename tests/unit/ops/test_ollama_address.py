"""OLLAMA_HOST is read as Ollama reads it, and always gives a URL that can be called."""

import pytest

from singletrack_tasks.ollama_address import client_url, configured_url, server_name


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
        ("gpu-box:port", "http://gpu-box:11434"),
        ("gpu-box:70000", "http://gpu-box:11434"),
        (' "gpu-box:1234" ', "http://gpu-box:1234"),
        ("", "http://127.0.0.1:11434"),
    ],
)
def test_a_client_can_call_what_a_server_listens_on(host: str, url: str) -> None:
    assert client_url(host) == url


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
