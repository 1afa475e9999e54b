"""Foreign models and memory: cases from practice, each a row of looks."""

from collections.abc import Sequence

import pytest

from singletrack_tasks.recording import GpuProcess
from singletrack_tasks.status import Drift
from singletrack_worker.gpu.observing.drift import DESKTOP_MB, DriftJudge, Sighting
from singletrack_worker.gpu.observing.shares import Share, measured
from singletrack_worker.gpu.tenants import OtherModel

INTERVAL_S, CONFIRM_S = 15.0, 7.5
UNIX_S = 1_700_000_000.0
NOBODY = Share()
CLIP = measured(1100)
VLM = Share(5600, 2800, 8024)
UNSETTLED = None


class Looks:
    """Looks at a GPU, an interval apart."""

    def __init__(self) -> None:
        self.judge = DriftJudge(CONFIRM_S)
        self.now_s = 0.0

    def see(
        self,
        used_mb: int | None = 300,
        share: Share | None = NOBODY,
        *processes: GpuProcess,
        models: tuple[OtherModel, ...] | None = (),
        after_s: float = INTERVAL_S,
    ) -> tuple[Drift, ...]:
        """Look, `after_s` after the last time."""
        self.now_s += after_s
        return self.judge.judge(Sighting(self.now_s, UNIX_S + self.now_s, used_mb, models, share, processes))

    def told(self, rows: Sequence[tuple[int | None, Share | None]]) -> list[int | None]:
        """What is said of unexplained VRAM at each look, None for nothing."""
        return [next((drift.vram_mb for drift in self.see(*row)), None) for row in rows]


def process(mb: int, pid: int = 9, name: str = "blender") -> GpuProcess:
    return GpuProcess(pid=pid, name=name, vram_mb=mb)


class TestModels:
    def test_another_model_is_told_at_once_and_gone_at_once(self) -> None:
        looks, theirs = Looks(), (OtherModel("their:7b", 4000, vram_mb=3500),)
        assert looks.see() == ()
        (drift,) = looks.see(models=theirs)
        assert drift == Drift(what="foreign_model", name="their:7b", vram_mb=3500, since_unix_s=UNIX_S + 30)
        assert looks.see(models=theirs) == (drift,), "since when stays"
        assert looks.see() == ()

    def test_a_model_on_the_cpu_or_without_a_gpu_is_told_as_well(self) -> None:
        (drift,) = Looks().see(None, None, models=(OtherModel("their:7b", 4000, vram_mb=0),))
        assert (drift.name, drift.vram_mb) == ("their:7b", 0)

    def test_of_a_server_that_is_silent_the_last_is_known(self) -> None:
        looks = Looks()
        told = looks.see(models=(OtherModel("their:7b", 4000, vram_mb=3500),))
        assert looks.see(300, None, models=None) == told
        assert looks.see() == ()


class TestMemoryWithoutANamedProcess:
    @pytest.mark.parametrize(
        "rows",
        [
            pytest.param([(300, NOBODY)] * 3, id="the desktop"),
            pytest.param([(2600, NOBODY)] * 3, id="a large desktop, or a stranger who was there before"),
            pytest.param([(300, NOBODY), (1400, CLIP), (1400, CLIP), (300, NOBODY)], id="CLIP comes and goes"),
            pytest.param([(300, NOBODY), (1400, CLIP), (1900, CLIP), (1900, CLIP)], id="CLIP's pools grow"),
            pytest.param([(300, NOBODY), (6300, VLM), (6300, VLM), (300, NOBODY)], id="the VLM with CUDA's part"),
            pytest.param([(6300, VLM), (6300, VLM), (300, NOBODY), (300, NOBODY)], id="restart with the VLM loaded"),
            pytest.param(
                [(6300, VLM), (300, NOBODY), (6300, VLM), (6300, VLM), (1400, CLIP), (1400, CLIP)],
                id="restart with the VLM loaded, and a day",
            ),
            pytest.param([(300, NOBODY), (5900, NOBODY), (300, NOBODY)], id="memory that comes back late"),
            pytest.param([(300, NOBODY), *[(5900, UNSETTLED)] * 9, (300, NOBODY)], id="a release that is waited for"),
            pytest.param([(5900, UNSETTLED), (5900, UNSETTLED), (300, NOBODY)], id="a silent server at the start"),
            pytest.param([(300, NOBODY), (5900, UNSETTLED), (5900, UNSETTLED)], id="a silent server that may hold it"),
            pytest.param([(300, NOBODY), *[(3900, VLM)] * 4, (300, NOBODY)], id="the VLM partly on the CPU, unsaid"),
            pytest.param([(300, NOBODY), (900, NOBODY), (300, NOBODY), (900, NOBODY)], id="what comes and goes"),
            pytest.param([(300, NOBODY), *[(399, NOBODY)] * 3], id="a little more"),
            pytest.param([(None, UNSETTLED)] * 3, id="no GPU"),
        ],
    )
    def test_no_false_alarm(self, rows: list[tuple[int | None, Share | None]]) -> None:
        assert Looks().told(rows) == [None] * len(rows)

    @pytest.mark.parametrize(
        ("rows", "told"),
        [
            pytest.param(
                [(300, NOBODY), (400, NOBODY), (400, NOBODY), (340, NOBODY)], [None, None, 100, None], id="at rest"
            ),
            pytest.param(
                [(300, NOBODY), (1400, CLIP), (4400, CLIP), (4400, CLIP)], [None, None, None, 3000], id="beside CLIP"
            ),
            pytest.param(
                [(2000, NOBODY), (300, NOBODY), (900, NOBODY), (900, NOBODY)],
                [None, None, None, 600],
                id="in place of a desktop that shrank",
            ),
            pytest.param(
                [(300, NOBODY), (700, NOBODY), (700, NOBODY), (1900, CLIP), (1400, CLIP)],
                [None, None, 400, 500, None],
                id="a small one is not lost sight of when CLIP comes",
            ),
            pytest.param(
                [(300, NOBODY), (900, NOBODY), (900, NOBODY), (900, UNSETTLED), (360, NOBODY), (340, NOBODY)],
                [None, None, 600, 600, 60, None],
                id="until it is gone, and while nobody can tell",
            ),
            pytest.param(
                [(300, NOBODY), (900, NOBODY), (900, NOBODY), (None, UNSETTLED)], [None, None, 600, None], id="no GPU"
            ),
        ],
    )
    def test_it_is_told_at_the_second_look(
        self, rows: list[tuple[int | None, Share | None]], told: list[int | None]
    ) -> None:
        assert Looks().told(rows) == told

    def test_it_has_no_name_and_is_dated_from_the_first_look_that_found_it(self) -> None:
        looks = Looks()
        looks.told([(300, NOBODY), (900, NOBODY)])
        (drift,) = looks.see(950)
        assert drift == Drift(what="foreign_vram", name="unknown", vram_mb=650, since_unix_s=UNIX_S + 30)

    def test_looks_in_a_hurry_count_as_one(self) -> None:
        looks = Looks()
        looks.see(300)
        assert [looks.see(900, after_s=after_s) for after_s in (1, 0.1, 5)] == [(), (), ()]
        assert looks.see(900, after_s=CONFIRM_S)


class TestProcesses:
    def test_a_program_is_told_by_name_and_pid_and_not_a_second_time_as_unknown(self) -> None:
        looks = Looks()
        looks.see(300)
        assert looks.see(3300, NOBODY, process(3000)) == ()
        (drift,) = looks.see(3350, NOBODY, process(3040))
        assert drift == Drift(what="foreign_vram", name="blender", vram_mb=3040, pid=9, since_unix_s=UNIX_S + 30)
        assert looks.see(300) == ()

    def test_two_programs_are_two(self) -> None:
        looks, two = Looks(), (process(500, 8), process(700, 9))
        looks.see(300)
        looks.see(1500, NOBODY, *two)
        assert [(drift.pid, drift.vram_mb) for drift in looks.see(1500, NOBODY, *two)] == [(8, 500), (9, 700)]

    def test_what_was_there_at_the_start_is_the_desktop_until_it_grows(self) -> None:
        looks = Looks()
        told = [looks.see(300 + mb, NOBODY, process(mb, name="firefox")) for mb in (400, 400, 480, 520, 520, 470, 440)]
        assert [[drift.vram_mb for drift in drifts] for drifts in told] == [[], [], [], [], [520], [470], []]

    def test_what_has_too_much_for_a_desktop_is_told_though_it_was_there_first(self) -> None:
        looks, theirs = Looks(), process(DESKTOP_MB + 100)
        assert looks.see(2000, NOBODY, theirs) == ()
        assert [drift.vram_mb for drift in looks.see(2000, NOBODY, theirs)] == [DESKTOP_MB + 100]

    def test_a_small_program_is_none(self) -> None:
        looks = Looks()
        looks.see(300)
        assert [looks.see(399, NOBODY, process(99)) for _ in range(3)] == [()] * 3

    def test_a_program_that_only_passes_is_none(self) -> None:
        """A tool that looks at the GPU, or one of our own processes that is just ending."""
        looks = Looks()
        seen = [looks.see(300), looks.see(700, NOBODY, process(400, 8)), looks.see(700, NOBODY, process(400, 9))]
        assert [*seen, looks.see(300)] == [()] * 4

    def test_a_pid_that_was_used_before_is_another_program(self) -> None:
        looks = Looks()
        looks.see(800, NOBODY, process(500, name="firefox"))
        looks.see(300)
        looks.see(800, NOBODY, process(500))
        assert [drift.name for drift in looks.see(800, NOBODY, process(500))] == ["blender"]

    def test_it_is_told_while_the_server_is_silent(self) -> None:
        looks = Looks()
        looks.see(300)
        looks.see(3300, UNSETTLED, process(3000), models=None)
        assert [drift.name for drift in looks.see(3300, UNSETTLED, process(3000), models=None)] == ["blender"]

    def test_a_driver_that_stops_naming_it_leaves_it_unknown(self) -> None:
        looks = Looks()
        looks.see(300)
        for _ in range(2):
            looks.see(3300, NOBODY, process(3000))
        assert looks.see(3300) == ()
        assert [drift.name for drift in looks.see(3300)] == ["unknown"]


def test_the_oldest_comes_first() -> None:
    looks, model = Looks(), OtherModel("their:7b", 100, vram_mb=0)
    looks.see(300)
    looks.see(800, NOBODY, process(500))
    assert [drift.name for drift in looks.see(800, NOBODY, process(500), models=(model,))] == ["blender", "their:7b"]
