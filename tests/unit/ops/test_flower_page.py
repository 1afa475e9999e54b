"""The GPU page: what it says, that it says it safely, and what it says where there is nothing to see."""

import asyncio
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from singletrack import Client
from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_ops.flower_gpu.page import Page
from singletrack_ops.flower_gpu.templates import PAGES, GpuLoader, with_item
from singletrack_ops.flower_gpu.timeline_svg import draw_svg
from singletrack_ops.flower_gpu.track_watcher import GpuView, TrackWatcher, recent_timeline
from singletrack_tasks.errors import InvalidConfiguration, NoWorker
from singletrack_tasks.events import AnyEvent, IdleUnload, ModeChanged, ResourceChanged, WorkerStarted
from singletrack_tasks.keys import Keys
from singletrack_tasks.recording import KEPT_S, Recording, Sample
from singletrack_tasks.result import Degradation, DegradedCode, StepReceipt
from singletrack_tasks.status import (
    Drift,
    ExecutionMode,
    GPUResourceStatus,
    LastError,
    ModelState,
    OperationInFlight,
    QueueStatus,
)
from tests.addresses import SILENT_REDIS
from tests.unit.producers.gpu_statuses import START, TOTAL_MB, clip, on_gpu, receipt, vlm
from tests.unit.producers.statuses import status as without_gpu

EVIL = "<script>alert('1')</script>"
FAILED = StepReceipt(step="load_vlm", ok=False, duration_s=2, detail=EVIL)


def evil() -> GPUResourceStatus:
    """A status with something in each of its texts that must not become a part of the page."""
    return on_gpu(
        7000,
        mode=ExecutionMode.RECORDING,
        vlm=vlm(vram_mb=6000).model_copy(update={"model": EVIL}),
        clip=clip("cpu", cpu_pid=11),
        degraded=True,
        reasons=(Degradation(code=DegradedCode.VLM_VRAM_SHORT, message=EVIL, since_unix_s=START - 60),),
        drift=(Drift(what="foreign_vram", name=EVIL, vram_mb=500, pid=5, since_unix_s=START),),
        operation=OperationInFlight(job_id=EVIL, kind="ask", since_unix_s=START - 5, stage="generate"),
        last_error=LastError(at_unix_s=START - 9, job_id=None, kind="ask", error="OllamaFailure", message=EVIL),
        queue=QueueStatus(length=3, oldest_age_s=4.0, wait_s=12.0),
        dead_letters=2,
        durations_s={EVIL: 1.0},
        age_s=0.5,
    )


def events() -> tuple[AnyEvent, ...]:
    idle = receipt("unload_vlm", 7000, 1000)
    return (
        WorkerStarted(at_unix_s=START - 300, host=EVIL, pid=1),
        ModeChanged(
            at_unix_s=START - 200, before=ExecutionMode.IDLE, after=ExecutionMode.RECORDING, receipts=(FAILED,)
        ),
        ResourceChanged(at_unix_s=START - 150, before_mb=1000, after_mb=7000, total_mb=TOTAL_MB),
        IdleUnload(at_unix_s=START - 100, model=EVIL, idle_s=30, receipt=idle),
    )


def render(page: Page, name: str = "gpu_live.html") -> str:
    text: bytes = GpuLoader(str(PAGES)).load(name).generate(page=page)
    return text.decode()


def look(now: GPUResourceStatus | None, **changed: Any) -> GpuView:
    timeline = None if now is None else recent_timeline(now, None, changed.get("events", ()), START)
    return GpuView(START, now, timeline=timeline, **changed)


def test_what_comes_from_elsewhere_is_text_and_nothing_else() -> None:
    shown = render(Page.of(look(evil(), problem=EVIL, events=events())))
    assert "<script" not in shown
    # In the problem, the reason, the drift, the model's name, the job's id, the last error, the durations, the events.
    assert shown.count("&lt;script&gt;") >= 8


def test_everything_of_the_status_is_on_the_page() -> None:
    shown = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", render(Page.of(look(evil(), events=events())))))
    for text in (
        "RECORDING",
        "7,000 of 8,000 MB used",
        "other 500 MB",
        "foreign 500 MB",
        "VLM 6,000 MB",
        "Degraded, vlm_vram_short, for 1 min 00 s",
        "3 waiting",
        "4.0 s",
        "12.0 s",
        "ask for 5.0 s",
        "generate",
        "2: see `singletrack dead list`",
        "9.0 s ago",
        "OllamaFailure",
        "release 0",
        "status 0.5 s old",
    ):
        assert text in shown, text


def test_transitions_are_told_with_their_receipts_the_newest_first() -> None:
    idle, mode = Page.of(look(on_gpu(), events=events())).transitions
    assert (idle.why, idle.step, idle.vram, idle.took, idle.ok) == (
        "idle for 30.0 s",
        "unload_vlm",
        "7,000 → 1,000",
        "1.0 s",
        True,
    )
    assert (mode.why, mode.step, mode.vram, mode.ok) == ("IDLE → RECORDING", "load_vlm", "? → ?", False)


def test_a_track_that_was_never_served_has_a_page() -> None:
    shown = render(Page.of(GpuView(START, problem="no worker serves the track 'gpu0'")))
    assert (
        "no worker serves the track &#x27;gpu0&#x27;" in shown or "no worker serves the track &#39;gpu0&#39;" in shown
    )
    assert "Nothing has been moved yet" in shown
    assert "metric-grid" not in shown


def test_a_worker_that_is_gone_leaves_its_last_status_and_a_warning() -> None:
    page = Page.of(look(on_gpu(age_s=40.0), problem="it is gone"))
    assert not page.live
    shown = render(page)
    assert "gpu-stale" in shown
    assert "status 40.0 s old" in shown


def test_a_host_without_a_gpu_has_no_bar_and_no_timeline() -> None:
    page = Page.of(look(without_gpu()))
    assert (page.vram, page.shares, page.timeline) == ("none", (), "")
    assert "<svg" not in render(page)


def test_the_timeline_shows_tenants_and_marks_changes_of_mode() -> None:
    samples = tuple(
        Sample(
            at_unix_s=START - 100 + at,
            used_mb=7000 if at > 50 else 1000,
            vlm_mb=6000 if at > 50 else 0,
            mode=ExecutionMode.RECORDING if at > 40 else ExecutionMode.IDLE,
            vlm=ModelState.LOADED,
            clip_device="cpu",
        )
        for at in range(0, 100, 10)
    )
    recording = Recording(track="gpu0", reason="on_demand", taken_unix_s=START, total_mb=TOTAL_MB, samples=samples)
    timeline = recent_timeline(on_gpu(7000, mode=ExecutionMode.RECORDING, vlm=vlm(vram_mb=6000)), recording, (), START)
    assert timeline is not None
    picture = ET.fromstring(draw_svg(timeline))  # noqa: S314 - our own
    assert [path.get("class") for path in picture.iter("path")] == ["gpu-vlm", "gpu-clip", "gpu-foreign", "gpu-other"]
    assert len([line for line in picture.iter("line") if line.get("class") == "gpu-change"]) == 1
    assert [title.text for title in picture.iter("title")] == ["IDLE", "RECORDING"]
    words = [text.text for text in picture.iter("text")]
    assert {"7.8 GiB", "0", "now", "-3 min", "IDLE", "RECORDING"} <= set(words)


def test_without_a_recording_the_events_tell_it() -> None:
    timeline = recent_timeline(on_gpu(1000), None, events(), START)
    assert timeline is not None
    assert max(point.used_mb for point in timeline.points) == 7000
    assert timeline.points[-1].used_mb == 1000
    assert [mark.mode for mark in timeline.marks] == ["IDLE", "RECORDING", "IDLE"]


def test_a_long_history_is_ten_minutes() -> None:
    old = ResourceChanged(at_unix_s=START - 5000, before_mb=0, after_mb=3000, total_mb=TOTAL_MB)
    running = on_gpu(worker=on_gpu().worker.model_copy(update={"started_unix_s": 0.0}))
    timeline = recent_timeline(running, None, (old,), START)
    assert timeline is not None
    assert timeline.seconds == KEPT_S


def test_the_item_comes_after_flowers_own() -> None:
    found = with_item("<ul><li>Broker</li></ul><ul><li>Theme</li></ul>")
    assert found.index("Broker") < found.index("GPU") < found.index("Theme")


def test_a_navigation_of_another_kind_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    assert with_item("<nav></nav>") == "<nav></nav>"
    assert "/gpu" in caplog.text


def test_flowers_own_templates_are_found_with_the_item_in_its_navigation() -> None:
    urls = pytest.importorskip("flower.urls")
    loader = GpuLoader(urls.settings["template_path"])
    names: dict[str, Any] = {"reverse_url": lambda name: f"/{name}", "static_url": str, "handler": None}
    handler = type("Handler", (), {"application": type("App", (), {"options": type("Options", (), {"auth": ""})})})
    shown = loader.load("navbar.html").generate(**(names | {"active_tab": "gpu", "handler": handler})).decode()
    assert re.search(r'class="nav-link active" href="/gpu"\s+aria-current="page">GPU', shown)
    assert Path(loader.root, "gpu.html").exists() is False
    assert loader.load("gpu.html")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis.start(tmp_path_factory.mktemp("redis")) as running:
        yield running


def test_a_redis_that_cannot_be_reached_is_told_and_looked_for_again() -> None:
    with Client(SILENT_REDIS, "gpu0") as client:
        found = TrackWatcher(lambda: client).look_now()
    assert found.status is None
    assert "127.0.0.1:9" in (found.problem or "")
    assert found.dump()["timeline"] is None


def test_settings_that_cannot_be_read_are_told() -> None:
    def connect() -> Client:
        raise InvalidConfiguration("not so")

    assert TrackWatcher(connect).look_now().problem == "not so"


def test_everybody_shares_a_look_and_events_are_read_once(
    server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Keys("watched")
    with Client(server.url, "watched") as client:
        monkeypatch.setattr(client, "record", _no_recording)
        redis = client._link.redis
        now = redis.time()
        snapshot = on_gpu(track="watched", taken_unix_s=float(now[0]))
        redis.set(keys.status, snapshot.model_dump_json())
        for event in events():
            redis.xadd(keys.events, {"event": event.model_dump_json()})
        watch = TrackWatcher(lambda: client)

        async def together() -> list[GpuView]:
            return list(await asyncio.gather(*(watch.look() for _ in range(5))))

        looks = asyncio.run(together())
        assert all(one is looks[0] for one in looks)
        assert looks[0].problem is None
        assert looks[0].status is not None
        assert looks[0].status.vram == snapshot.vram
        assert len(watch.look_now().events) == len(events())
        dumped = looks[0].dump()
        assert [event["kind"] for event in dumped["events"]] == [event.kind for event in events()]
        assert dumped["timeline"]["total_mb"] == TOTAL_MB


def test_after_more_events_than_are_kept_it_goes_on_with_those_that_are(server: EmbeddedRedis) -> None:
    told = events()
    with Client(server.url, "trimmed") as client:
        redis, stream = client._link.redis, Keys("trimmed").events
        redis.xadd(stream, {"event": told[0].model_dump_json()})
        watch = TrackWatcher(lambda: client)
        assert watch.look_now().events == told[:1]
        for event in told[1:]:
            redis.xadd(stream, {"event": event.model_dump_json()})
        redis.xtrim(stream, maxlen=2, approximate=False)
        for _ in range(2):
            found = watch.look_now()
            assert found.events == told[-2:]
            assert "no longer kept" not in (found.problem or "")


def _no_recording(**_: Any) -> Recording:
    raise NoWorker("its remote control is cut off")
