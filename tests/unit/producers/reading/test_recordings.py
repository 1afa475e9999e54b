"""Recordings on demand, from a worker and from a file, and how they are shown."""

import asyncio
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from singletrack.aio.client import AsyncClient
from singletrack.client import Client
from singletrack.pictures import recording_plot
from singletrack.pictures.recording_spans import Span, spans, stretches, total_s
from singletrack.reading import recordings
from singletrack_tasks.errors import InvalidConfiguration, InvalidRequest, NoWorker
from singletrack_tasks.recording import GpuProcess, RecordedMark, Recording, Sample
from singletrack_tasks.status import ExecutionMode, GpuInfo, ModelState
from tests.unit.producers.cli.shell import Shell
from tests.unit.producers.conftest import TRACK, Backstage, wait_until
from tests.unit.producers.statuses import publish, status

START_UNIX_S = 1_764_000_000.0
SIZE = (recording_plot.WIDTH_PX, recording_plot.HEIGHT_PX)


def sample(at_s: float, **fields: Any) -> Sample:
    known: dict[str, Any] = {
        "at_unix_s": START_UNIX_S + at_s,
        "used_mb": 300,
        "vlm_mb": 0,
        "clip_mb": 0,
        "mode": ExecutionMode.IDLE,
        "vlm": ModelState.UNLOADED,
        "clip_device": "cpu",
    }
    return Sample(**(known | fields))


def recording(*samples: Sample, **fields: Any) -> Recording:
    known: dict[str, Any] = {
        "track": "gpu0",
        "reason": "on_demand",
        "taken_unix_s": START_UNIX_S + 60,
        "gpu": GpuInfo(name="a $GPU$ of 8 GiB", uuid="GPU-1"),
        "total_mb": 8192,
        "samples": samples,
    }
    return Recording(**(known | fields))


def busy() -> Recording:
    """A minute in which the VLM is loaded and asked, with a failure."""
    asking = {"mode": ExecutionMode.RECORDING, "operation": "ask", "job_id": "j-1"}
    loading = [
        sample(at, used_mb=300 + int(at * 100), vlm=ModelState.LOADING, stage="load_vlm", **asking) for at in range(20)
    ]
    loaded = {"used_mb": 7000, "vlm_mb": 6600, "vlm": ModelState.LOADED}
    answering = [sample(20 + at, stage="generate", **loaded, **asking) for at in range(20)]
    quiet = [sample(40 + at, processes=(GpuProcess(pid=7, name="[b]ollama", vram_mb=6900),)) for at in range(20)]
    failed = RecordedMark(
        at_unix_s=START_UNIX_S + 41, what="unload_vlm", duration_s=0.3, error="VlmUnloadFailed: $no\nway é 一"
    )
    moved = RecordedMark(at_unix_s=START_UNIX_S + 20, what="load_vlm", duration_s=19.5)
    reason = {"reason": "unload_vlm_failed", "detail": "it is still listed"}
    return recording(*loading, *answering, *quiet, marks=(moved, failed), **reason)


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "busy.json.gz"
    path.write_bytes(busy().pack())
    return path


class TestClient:
    def test_a_worker_hands_its_recording_over(
        self, client: Client, backstage: Backstage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        taken = client.record(timeout_s=60)
        assert (taken.track, taken.reason) == (TRACK, "on_demand")
        # Now that the worker is known to listen, it is told once: one that is told twice answers twice.
        monkeypatch.setattr(recordings, "_TELL_EVERY_S", 60.0)
        monkeypatch.setattr(recordings, "uuid", SimpleNamespace(uuid4=lambda: "asked"))
        client.record(timeout_s=60)
        assert not backstage.redis.exists(backstage.keys.recording("asked"))

    def test_also_while_it_is_busy(self, client: Client, backstage: Backstage) -> None:
        ran = len(backstage.ran)
        job = client.submit_ask("wait", timeout_s=60)
        wait_until(lambda: backstage.ran[ran:] == ["ask"])
        assert client.record(timeout_s=60).reason == "on_demand"
        assert job.state not in ("done", "failed")
        job.cancel()

    def test_over_asyncio(self, served: str) -> None:
        async def work() -> Recording:
            async with AsyncClient(served, TRACK) as client:
                return await client.record(timeout_s=20)

        assert asyncio.run(asyncio.wait_for(work(), 60)).track == TRACK

    def test_without_a_worker_it_says_so_at_once(self, lonely: Client, lonely_backstage: Backstage) -> None:
        with pytest.raises(NoWorker, match="no worker serves the track"):
            lonely.record(timeout_s=3600)

    def test_a_worker_that_does_not_hear_is_told_of(self, lonely: Client, lonely_backstage: Backstage) -> None:
        publish(lonely_backstage, status())
        with pytest.raises(NoWorker, match=r"did not hand its recording over in 0\.2 s"):
            lonely.record(timeout_s=0.2)

    @pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf")])
    def test_a_time_that_is_none_is_refused(self, client: Client, timeout_s: float) -> None:
        with pytest.raises(InvalidRequest, match="timeout_s"):
            client.record(timeout_s=timeout_s)


class TestCommandLine:
    def test_a_recording_is_fetched_and_kept(
        self,
        shell: Shell,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        shown = shell("record").stdout
        (kept,) = tmp_path.iterdir()
        assert kept.name in shown
        assert kept.name.startswith(f"{TRACK}-2")
        assert Recording.unpack(kept.read_bytes()).track == TRACK

    def test_json_is_all_that_is_printed_and_nothing_is_kept(
        self,
        shell: Shell,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert Recording.parse(shell.json("record")).track == TRACK
        assert list(tmp_path.iterdir()) == []

    def test_one_from_a_file_is_shown_and_drawn_without_a_worker(
        self,
        lonely_shell: Shell,
        file: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("COLUMNS", "200")
        picture, copy = tmp_path / "out.png", tmp_path / "copy.json.gz"
        shown = lonely_shell("record", "--file", str(file), "--plot", str(picture), "--out", str(copy)).stdout
        for told in (
            "unload_vlm_failed: it is still listed",
            "7,000 MB of 8,192 MB",
            "VLM 6,600 MB, CLIP 0 MB",
            "[b]ollama (7) 6,900 MB",
            "RECORDING 40.0 s, IDLE 19.5 s",
            "ask 40.0 s",
            "1 load_vlm",
            "unload_vlm: VlmUnloadFailed: $no",
            str(picture),
            str(copy),
        ):
            assert told in shown
        assert Recording.unpack(copy.read_bytes()) == busy()
        assert size(picture) == SIZE
        assert lonely_shell.json("record", "--file", str(file)) == json.loads(busy().model_dump_json())

    def test_one_without_anything_in_it(self, lonely_shell: Shell, tmp_path: Path) -> None:
        empty = tmp_path / "empty.json.gz"
        empty.write_bytes(recording(gpu=None, total_mb=None).pack())
        assert "none" in lonely_shell("record", "--file", str(empty)).stdout

    def test_a_file_that_is_none_is_bad_input(self, lonely_shell: Shell, tmp_path: Path) -> None:
        wrong = tmp_path / "wrong"
        wrong.write_text("{}")
        assert "not a singletrack recording" in lonely_shell("record", "--file", str(wrong), status=2).stderr
        assert "cannot be read" in lonely_shell("record", "--file", str(tmp_path), status=2).stderr

    def test_a_place_that_cannot_be_written_is_bad_input(
        self,
        lonely_shell: Shell,
        file: Path,
        tmp_path: Path,
    ) -> None:
        for option in ("--out", "--plot"):
            where = str(tmp_path / "no" / "such" / "folder")
            told = lonely_shell("record", "--file", str(file), option, where, status=2).stderr
            assert "cannot be written" in told

    def test_without_matplotlib_it_says_what_to_install(
        self,
        lonely_shell: Shell,
        file: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        told = lonely_shell("record", "--file", str(file), "--plot", str(tmp_path / "out.png"), status=2).stderr
        assert "pip install 'singletrack[plot]'" in told


class TestPlot:
    def test_a_busy_minute(self, tmp_path: Path) -> None:
        recording_plot.plot(busy(), tmp_path / "out.png")
        with Image.open(tmp_path / "out.png") as picture:
            assert picture.size == SIZE
            colours = {colour for _, colour in picture.convert("RGB").getcolors(2**24) or ()}
        # The VLM, the VLM while it is loading, the mode RECORDING, an answer being written, and a failure.
        assert {"#0072B2", "#9CC4E4", "#A6CEE6", "#009E73", "#C1121F"} <= {
            "#{:02X}{:02X}{:02X}".format(*colour[:3]) for colour in colours if isinstance(colour, tuple)
        }

    @pytest.mark.parametrize(
        "odd",
        [
            recording(),
            recording(sample(0)),
            recording(sample(0, used_mb=None, vlm_mb=None, clip_mb=None), gpu=None, total_mb=None),
            recording(sample(0), sample(1, used_mb=None, vlm_mb=None, clip_mb=None), sample(30), sample(29)),
            recording(sample(0, used_mb=100, vlm_mb=500, clip_mb=300, stage="unknown", operation="unknown")),
            recording(
                sample(0),
                marks=tuple(
                    RecordedMark(at_unix_s=START_UNIX_S + at, what="ask", duration_s=1e9, error="x" * 5000)
                    for at in range(100)
                ),
            ),
        ],
        ids=["empty", "one sample", "no GPU", "gaps", "more than there is", "many failures"],
    )
    def test_odd_ones_are_drawn_as_well(self, odd: Recording, tmp_path: Path) -> None:
        recording_plot.plot(odd, tmp_path / "out.png")
        assert size(tmp_path / "out.png") == SIZE

    def test_tenants_never_add_up_to_more_than_is_in_use(self) -> None:
        shares = list(recording_plot._shares([*busy().samples, sample(0, used_mb=100, vlm_mb=500, clip_mb=300)]))
        assert [sum(share) for share in shares] == [*(used.used_mb for used in busy().samples), 100]
        assert all(part >= 0 for share in shares for part in share)
        # What comes while a model is loading is the model's, and not somebody else's.
        assert shares[10] == (0, 1000, 0, 300)

    def test_without_matplotlib_nothing_else_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(InvalidConfiguration, match=r"singletrack\[plot\]"):
            recording_plot.draw_plot(busy())

    @pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of a process cannot be set on Windows")
    @pytest.mark.parametrize(("zone", "shown"), [("UTC", "16:00:00 to 16:01:00"), ("XYZ-3", "19:00:00 to 19:01:00")])
    def test_times_are_those_of_this_machine(self, monkeypatch: pytest.MonkeyPatch, zone: str, shown: str) -> None:
        with monkeypatch.context() as there:
            there.setenv("TZ", zone)
            time.tzset()
            texts = [text.get_text() for text in recording_plot.draw_plot(busy()).texts]
        time.tzset()
        assert any(shown in text for text in texts)


class TestSpans:
    def test_what_stays_as_it_is_is_one_span(self) -> None:
        found = spans(
            [sample(at / 2, operation="ask" if at >= 2 else None) for at in range(6)], lambda at: at.operation
        )
        assert found == [Span("ask", START_UNIX_S + 1, START_UNIX_S + 3)]
        assert found[0].duration_s == 2

    def test_a_gap_between_samples_belongs_to_nobody(self) -> None:
        samples = [sample(0), sample(0.5), sample(100), sample(100.5)]
        found = spans(samples, lambda at: at.mode)
        assert [(span.start_unix_s - START_UNIX_S, span.duration_s) for span in found] == [(0, 1.0), (100, 1.0)]
        assert total_s(found) == {ExecutionMode.IDLE: 2.0}
        assert [len(stretch) for stretch in stretches(samples)] == [2, 2]

    def test_nothing_has_no_spans(self) -> None:
        assert spans([], lambda at: at.mode) == []
        assert stretches([]) == []
