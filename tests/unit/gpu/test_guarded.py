"""Every request to a tenant is made only while the worker has the track."""

import inspect
from typing import Any

import pytest

from singletrack_tasks.requests.mode import SetMode
from singletrack_tasks.requests.request import JobRef, Request
from singletrack_tasks.requests.upkeep import Tick
from singletrack_tasks.requests.vlm import Ask, LoadVlm, UnloadVlm, VlmOptions
from singletrack_tasks.status import ExecutionMode
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.guarded import guarded
from singletrack_worker.gpu.hold import Overtaken
from singletrack_worker.gpu.tenants import Clip, Tenants, Vlm
from tests.unit.gpu.rig import Rig

# What makes nobody work: a look, the start on the CPU outside of operations, and the end.
FREE = {"goes_by", "sees_images", "listing", "close", "start", "stop"}
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "unload_other": ("a guest",),
    "ask": ("?", (), None, VlmOptions(), Cancellation()),
    "embed_images": ([b""],),
    "embed_texts": (["text"],),
    "too_long": (["text"],),
}


def methods(port: type) -> list[str]:
    return [name for name, member in vars(port).items() if inspect.isfunction(member) and not name.startswith("_")]


@pytest.mark.parametrize(("port", "part"), [(Vlm, "vlm"), (Clip, "clip")])
def test_each_method_of_a_port_is_guarded_or_free(port: type, part: str) -> None:
    rig = Rig().started()
    asked: list[str] = []

    def refuse() -> None:
        asked.append("asked")
        raise Overtaken("overtaken")

    tenants = guarded(Tenants(rig.vram, rig.vlm, rig.clip), refuse)
    deeds = len(rig.history.deeds)
    for name in methods(port):
        if name not in FREE:
            with pytest.raises(Overtaken):
                getattr(getattr(tenants, part), name)(*ARGUMENTS.get(name, ()))
    assert len(rig.history.deeds) == deeds
    assert len(asked) == len([name for name in methods(port) if name not in FREE]) > 3


@pytest.mark.parametrize("part", ["vlm", "clip"])
def test_what_a_tenant_says_of_itself_is_passed_on(part: str) -> None:
    rig = Rig().started()
    tenants = guarded(Tenants(rig.vram, rig.vlm, rig.clip), lambda: None)
    plain, guard = getattr(rig, part), getattr(tenants, part)
    port = {"vlm": Vlm, "clip": Clip}[part]
    names = [name for name, member in vars(port).items() if isinstance(member, property)]
    assert names
    assert {name: getattr(guard, name) for name in names} == {name: getattr(plain, name) for name in names}


@pytest.mark.parametrize(
    "request_", [Ask(prompt="?"), LoadVlm(), SetMode(mode=ExecutionMode.RECORDING)], ids=lambda one: one.KIND
)
def test_an_operation_that_is_overtaken_while_the_vlm_loads_ends_there(request_: Request[Any]) -> None:
    rig = Rig().started()
    rig.clock.on_sleep = rig.stores.hold.lose
    failed = len(rig.manager.status().reasons)
    with pytest.raises(Overtaken):
        rig.manager.run(request_, JobRef("job"))
    assert rig.history.deeds[-1].what in ("load", "listing")
    assert rig.vlm.prompts == []
    assert len(rig.manager.status().reasons) == failed
    assert rig.manager.status().last_error is None
    rig.clock.on_sleep = lambda: None
    rig.stores.hold.regain()
    rig.manager.resume()
    rig.manager.run(Ask(prompt="again"), JobRef("next"))
    assert rig.vlm.prompts == ["again"]


@pytest.mark.parametrize("request_", [Tick(), UnloadVlm(), Ask(prompt="?")], ids=lambda one: one.KIND)
def test_an_operation_of_a_worker_that_has_lost_its_track_does_nothing(request_: Request[Any]) -> None:
    rig = Rig().started()
    rig.set_mode(ExecutionMode.RECORDING)
    rig.stores.hold.lose()
    deeds = len(rig.history.deeds)
    with pytest.raises(Overtaken):
        rig.manager.run(request_, JobRef("job"))
    assert len(rig.history.deeds) == deeds


def test_a_start_that_is_overtaken_ends_quietly(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.stores.hold.lose()
    rig.vlm.load_by_somebody()
    rig.manager.settle()
    rig.manager.start_in_background()
    rig.manager.stop()
    assert rig.vlm.prompts == []
    assert "tick of job none is left to the next worker" in caplog.text
    assert "failed" not in caplog.text
