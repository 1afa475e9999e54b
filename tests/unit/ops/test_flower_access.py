"""Who may look at Flower: what its configuration decides, and what it refuses."""

import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from singletrack_ops.errors import OpsError
from singletrack_ops.flower_gpu import config_file as places
from singletrack_ops.flower_gpu.access import Access, access_or_exit, decide, first_credentials
from singletrack_ops.flower_gpu.config_file import config_file
from singletrack_tasks.errors import InvalidConfiguration


def given(**options: Any) -> Any:
    """Flower's options, as they are when it comes to its configuration file."""
    fields = {"address": "", "basic_auth": None, "auth": "", "unix_socket": "", "read_only": False}
    return SimpleNamespace(**(fields | options))


def test_on_this_machine_it_is_open_and_read_only() -> None:
    assert decide({}, given()) == Access("127.0.0.1", [], read_only=True)


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "127.0.0.2", "::1"])
def test_loopback_has_many_names(address: str) -> None:
    assert decide({}, given(address=address)).address == address


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.0.5", "gpu-host", "localhost.evil.example"])
def test_on_any_other_address_it_wants_a_password(address: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r"FLOWER_BASIC_AUTH=user:password.*FLOWER_BASIC_AUTH_FILE"):
        decide({}, given(address=address))
    with pytest.raises(InvalidConfiguration):
        decide({"FLOWER_BASIC_AUTH": ""}, given(address=address, basic_auth=[""]))
    assert decide({}, given(address=address, basic_auth=["a:b"])) == Access(address, ["a:b"], read_only=True)


def test_another_way_to_log_in_will_do() -> None:
    assert decide({}, given(address="0.0.0.0", auth=r".*@example\.com")).basic_auth == []


def test_a_unix_socket_is_this_machines_own() -> None:
    assert decide({}, given(address="0.0.0.0", unix_socket="/run/flower.sock")).basic_auth == []


def test_buttons_come_back_only_when_they_are_asked_for() -> None:
    assert decide({"FLOWER_READ_ONLY": "false"}, given(read_only=False)).read_only is False
    assert decide({"FLOWER_READ_ONLY": "true"}, given(read_only=True)).read_only is True


def test_passwords_can_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.write_text("ann:a:1\n\n  bob:b 2 \n", encoding="utf-8")
    environ = {"FLOWER_BASIC_AUTH_FILE": str(file)}
    assert decide(environ, given(address="0.0.0.0")).basic_auth == ["ann:a:1", "bob:b 2"]
    assert first_credentials(environ) == ("ann", "a:1")


@pytest.mark.parametrize("entry", ["nothing", ":secret", "me:", "m\u00e9:secret", "me:sec\u2028ret"])
def test_what_is_no_password_is_refused_and_not_quoted(entry: str) -> None:
    with pytest.raises(InvalidConfiguration, match="number 2 of FLOWER_BASIC_AUTH") as caught:
        decide({}, given(basic_auth=["a:b", entry]))
    assert entry not in str(caught.value)


def test_a_file_that_is_not_there_or_has_nothing_in_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        decide({"FLOWER_BASIC_AUTH_FILE": str(tmp_path / "none")}, given())
    empty = tmp_path / "empty"
    empty.write_text("\n", encoding="utf-8")
    with pytest.raises(InvalidConfiguration, match="nothing in it"):
        decide({"FLOWER_BASIC_AUTH_FILE": str(empty)}, given())


def test_two_sources_of_passwords_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="both set"):
        decide({"FLOWER_BASIC_AUTH_FILE": str(tmp_path)}, given(basic_auth=["a:b"]))


def test_a_refusal_ends_the_process_with_its_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Flower takes a `FileNotFoundError` for a missing configuration, and would go on without a password."""
    monkeypatch.setenv("FLOWER_BASIC_AUTH_FILE", str(tmp_path / "none"))
    pytest.importorskip("flower.options")
    with pytest.raises(SystemExit, match=r"Flower does not start: .*cannot be read"):
        access_or_exit()
    with pytest.raises(SystemExit):
        runpy.run_path(str(config_file()))


def test_the_configuration_gives_flower_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("flower.options")
    for name in ("FLOWER_BASIC_AUTH", "FLOWER_BASIC_AUTH_FILE", "FLOWER_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)
    from flower.urls import handlers, settings

    before = list(handlers)
    monkeypatch.setitem(settings, "template_loader", None)
    try:
        for _ in range(2):
            names = runpy.run_path(str(config_file()))
        added = handlers[: len(handlers) - len(before)]
        assert handlers[len(added) :] == before
        assert [rule.regex.pattern for rule in added] == [
            "/gpu$",
            "/gpu/api$",
            "/metrics$",
            "/api/task/result/(.+)$",
            "/broker$",
            "/api/queues/length$",
        ]
    finally:
        handlers[:] = before
    assert (names["address"], names["basic_auth"], names["read_only"]) == ("127.0.0.1", [], True)


def test_the_file_is_beside_the_package_or_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config_file() == Path(places.__file__).parents[2] / "flower" / "flowerconfig.py"
    inside = tmp_path / "singletrack_ops" / "flower"
    shutil.copytree(config_file().parent, inside)
    monkeypatch.setattr(places, "_PLACES", (inside, tmp_path / "flower"))
    assert config_file() == inside / "flowerconfig.py"
    monkeypatch.setattr(places, "_PLACES", (tmp_path / "nowhere",))
    with pytest.raises(OpsError, match="Install singletrack again"):
        config_file()
