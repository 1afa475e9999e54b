import pytest

from singletrack.client import Client
from singletrack.wire.settings import address, load_settings, redact
from singletrack_tasks.errors import InvalidConfiguration, InvalidRequest


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
