from urllib.parse import quote

import pytest

from singletrack.client import Client
from singletrack.wire.settings import address, load_settings
from singletrack_tasks.errors import InvalidConfiguration, InvalidRequest
from singletrack_tasks.redis_address import check_address, redact


def test_arguments_come_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINGLETRACK_REDIS_URL", "redis://elsewhere:1/0")
    monkeypatch.setenv("SINGLETRACK_TRACK", "gpu7")
    settings = load_settings(track="gpu8")
    assert (settings.redis_url, settings.track) == ("redis://elsewhere:1/0", "gpu8")


def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINGLETRACK_TRACK", "")
    assert load_settings().track == "gpu0"


@pytest.mark.parametrize(
    "url",
    [
        "http://:hunter2@host/0",
        "host:6379",
        "redis://",
        "redis://:hunter2@host:port/0",
        "redis://:hunter2@host:99999/0",
        "redis://user:hunter2@host/first",
        "redis://:hunter2@[::1/0",
        "redis:/:hunter2@host/0",
        ":hunter2@host",
        "hunter2@host",
        "redis://hunter2@host:port/0",
        "redis://user:hunter2\u2100@host:6379/0",
        "",
    ],
)
def test_a_wrong_url_names_its_variable_and_keeps_the_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r"SINGLETRACK_REDIS_URL \(or --redis-url\)") as caught:
        Client(url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    monkeypatch.setenv("SINGLETRACK_REDIS_URL", url or "nothing")
    with pytest.raises(InvalidConfiguration, match="SINGLETRACK_REDIS_URL"):
        Client()


@pytest.mark.parametrize("track", ["", "GPU", "a b", "a" * 33, "a:b"])
def test_a_wrong_track_names_its_variable(track: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r"SINGLETRACK_TRACK \(or --track\)"):
        Client(track=track)


def test_a_wrong_grace_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="worker_grace_s"):
        Client(worker_grace_s=0)


def test_tls_certificates_are_checked_unless_told_otherwise() -> None:
    assert load_settings("rediss://host/0").redis_address == "rediss://host/0?ssl_cert_reqs=required"
    assert load_settings("rediss://host/0?ssl_cert_reqs=CERT_NONE").redis_address == (
        "rediss://host/0?ssl_cert_reqs=none"
    )
    with pytest.raises(InvalidConfiguration, match="ssl_cert_reqs in the address must be one of required"):
        load_settings("rediss://host/0?ssl_cert_reqs=maybe")


def test_no_password_is_shown() -> None:
    assert redact("redis://me:p@ss/w@host:1/0") == "redis://me:***@host:1/0"
    assert address("redis://:secret@host/3") == "host:6379/3"
    assert "secret" not in repr(load_settings("redis://:secret@host/3"))
    assert redact("redis://hunter2:@host") == "redis://hunter2:***@host"
    assert redact("redis://hun/ter2@host/0") == "redis://***@host/0"
    assert redact("hunter2@host") == "***@host"


@pytest.mark.parametrize(
    "password", ["hun/ter2", "hunter2?", "#hunter2", "12/hunter2", "[hunter2", "hun]ter2", "/", "a b"]
)
@pytest.mark.parametrize("user", ["", "me"])
def test_a_password_that_must_be_percent_encoded(user: str, password: str) -> None:
    with pytest.raises(
        InvalidConfiguration, match=r"SINGLETRACK_REDIS_URL.*percent-encoded: / is written %2F"
    ) as caught:
        load_settings(f"redis://{user}:{password}@host:6379/0")
    assert "ter2" not in str(caught.value)
    encoded = quote(password, safe="")
    assert load_settings(f"redis://{user}:{encoded}@host:6379/0").redis_url.endswith(f"{encoded}@host:6379/0")


@pytest.mark.parametrize(
    "url",
    [
        "redis://host",
        "redis://:p@ss:w@host:6379/0",
        "redis://:100%@host",
        "redis://[::1]:6379/0",
        "redis://:hunter2@[::1]:6379/0",
        "rediss://host:6379/0?ssl_ca_certs=/home/me@work/ca.pem",
        "rediss://me:hunter2@host:6379?ssl_ca_certs=/home/me@work/ca.pem&ssl_cert_reqs=none",
    ],
)
def test_addresses_that_are_understood_stay_as_they_are(url: str) -> None:
    assert check_address(url) == url
