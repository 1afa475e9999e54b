"""Every command of Celery's remote control: what becomes of it is decided, and is what happens."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flower
import pytest
from celery.worker import state as worker_state
from celery.worker.control import Panel, control_command

from singletrack_worker.remote_control import COMMANDS, gpu_cancel, gpu_record, take_over

Commands = dict[str, Any]

REFUSED = sorted(name for name, treatment in COMMANDS.items() if treatment.how == "refused")
FLOWER = Path(flower.__file__).parent
# How Flower sends one: by its name, or by the method of Celery that has its name.
SENDS = re.compile(r"capp\.control\.(?:broadcast,\s*'(\w+)'|(\w+))")


def test_each_command_of_celery_is_decided_and_none_that_there_is_not() -> None:
    undecided = sorted(Panel.meta.keys() - COMMANDS.keys())
    assert not undecided, f"Celery has commands of which remote_control.COMMANDS says nothing: {undecided}"
    assert not COMMANDS.keys() - Panel.meta.keys(), "Celery has these no longer"
    known = set(COMMANDS) | {meta.alias for meta in Panel.meta.values() if meta.alias}
    assert set(Panel.data) == known


def test_each_command_of_flower_is_decided() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in FLOWER.rglob("*.py"))
    sent = {one for pair in SENDS.findall(text) for one in pair if one} - {"inspect"}
    listed = re.search(r"inspect_methods = \(([^)]*)\)", text)
    assert listed is not None
    asked = set(re.findall(r"'(\w+)'", listed.group(1)))
    assert {"rate_limit", "time_limit", "pool_grow", "shutdown", "revoke"} <= sent
    assert {"stats", "active"} <= asked
    assert not (sent | asked) - COMMANDS.keys(), "Flower has commands of which remote_control.COMMANDS says nothing"


def test_each_decision_has_a_reason_and_a_replacement_where_it_needs_one() -> None:
    for name, treatment in COMMANDS.items():
        assert treatment.why, name
        assert (treatment.replacement is not None) == (treatment.how == "replaced"), name


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_why_whatever_came_with_it(panel: Commands, name: str) -> None:
    take_over()
    for arguments in ({}, {"task_name": "gpu.ping", "rate_limit": "1/h"}):
        assert panel[name](None, **arguments) == {"error": f"a GPU worker refuses {name}: {COMMANDS[name].why}"}


def test_what_is_kept_is_celerys_and_what_is_replaced_is_ours(panel: Commands) -> None:
    before = dict(panel)
    take_over()
    take_over()
    for name, meta in Panel.meta.items():
        treatment = COMMANDS[name]
        if treatment.how == "kept":
            assert panel[name] is before[name]
        elif treatment.how == "replaced":
            assert panel[name] is treatment.replacement
        if meta.alias:
            assert panel[meta.alias] is panel[name]


def test_what_a_newer_celery_brings_is_refused_until_it_is_decided(
    panel: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Panel, "meta", dict(Panel.meta))
    control_command(name="melt", alias="thaw")(lambda state: {"ok": "melted"})
    take_over()
    assert "does not know it" in panel["melt"](None)["error"]
    assert "error" in panel["thaw"](None, heat=1)


class _Running:
    """A request of Celery's that runs."""

    id = "job"

    def info(self, *, safe: bool = False) -> dict[str, Any]:
        kwargs: Any = "a summary" if safe else {"request": {"prompt": "secret"}}
        return {"id": self.id, "args": "()" if safe else [], "kwargs": kwargs}


@pytest.mark.parametrize("safe", [True, False, None])
def test_no_command_tells_what_was_asked(panel: Commands, monkeypatch: pytest.MonkeyPatch, safe: bool | None) -> None:
    running: Any = _Running()
    monkeypatch.setattr(worker_state, "active_requests", {running})
    monkeypatch.setattr(worker_state, "reserved_requests", {running})
    worker_state.requests["job"] = running
    take_over()
    state = SimpleNamespace(tset=set)
    try:
        told = [panel[name](state, safe=safe) for name in ("active", "dump_active", "reserved", "dump_reserved")]
        where = panel["query_task"](state, ["job", "another"])
    finally:
        del worker_state.requests["job"]
    assert told[0] == [{"id": "job", "args": "()", "kwargs": "a summary"}]
    assert list(where) == ["job"]
    assert "secret" not in repr((told, where))


@pytest.mark.parametrize(
    ("gpu_worker", "told"),
    [
        (None, "is not in flight"),
        (SimpleNamespace(manager=SimpleNamespace(cancel=lambda job_id: False)), "is not in flight"),
        (SimpleNamespace(manager=SimpleNamespace(cancel=lambda job_id: job_id == "job")), "was told to stop"),
    ],
)
def test_cancel_says_what_it_did(gpu_worker: Any, told: str) -> None:
    state = SimpleNamespace(consumer=SimpleNamespace(controller=SimpleNamespace(gpu_worker=gpu_worker)))
    assert gpu_cancel(state, "job") == {"ok": f"job job {told}"}


def test_a_recording_is_asked_for_under_an_id_that_can_be_a_key() -> None:
    asked: list[str] = []
    running = SimpleNamespace(recorder=SimpleNamespace(ask=asked.append))
    state = SimpleNamespace(consumer=SimpleNamespace(controller=SimpleNamespace(gpu_worker=running)))
    assert "ok" in gpu_record(state, "5f0c-1")
    for wrong in ("", "a b", "x" * 65, "a:b", "a\n"):
        assert "error" in gpu_record(state, wrong)
    state.consumer.controller.gpu_worker = None
    assert "error" in gpu_record(state, "5f0c-1")
    assert asked == ["5f0c-1"]
