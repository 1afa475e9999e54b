"""Why a job waits: its place, what comes before it, whether a model is loaded on the way, and for how long."""

import pytest

from singletrack.client import Client
from singletrack.reading.progress import Progress
from singletrack_tasks.queue_survey import LOOKED_AT, LOOKED_FOR, Waiting, forecast
from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.requests.vlm import LoadVlm
from singletrack_tasks.status import ExecutionMode, ModelState, OperationInFlight, VlmStatus
from tests.unit.producers.conftest import Backstage
from tests.unit.producers.statuses import operation, publish, push_raw, status

DURATIONS_S = {"ask": 2.0, "mode": 0.5, "load_vlm": 5.0, "unload_vlm": 1.0, "ping": 0.25, "embed_texts": 0.75}
LOADED = VlmStatus(model="some-vlm", state=ModelState.LOADED)


def test_the_next_job_has_nothing_before_it(lonely: Client, lonely_backstage: Backstage) -> None:
    publish(lonely_backstage, status(durations_s=DURATIONS_S))
    job = lonely.submit(Ping(), timeout_s=60)
    assert job.progress == Progress(1, wait_s=0.0)


def test_a_job_knows_what_runs_before_it_and_for_how_long(lonely: Client, lonely_backstage: Backstage) -> None:
    publish(lonely_backstage, status(durations_s=DURATIONS_S))
    lonely.submit(Ping(), timeout_s=60)
    lonely.submit_mode("RECORDING", timeout_s=60)
    lonely.submit_ask("what?", timeout_s=60)
    job = lonely.submit(Ping(), timeout_s=60)
    progress = job.progress
    assert (progress.place, progress.before) == (4, ("ping", "mode", "ask"))
    assert progress.loads_vlm
    assert progress.wait_s == pytest.approx(0.25 + 5.0 + 0.5 + 2.0)


def test_a_question_that_loads_the_vlm_itself_says_so(lonely: Client, lonely_backstage: Backstage) -> None:
    publish(lonely_backstage, status(durations_s=DURATIONS_S))
    progress = lonely.submit_ask("what?", timeout_s=60).progress
    assert (progress.place, progress.loads_vlm, progress.wait_s) == (1, True, 0.0)


def test_a_loaded_vlm_is_not_loaded_again(lonely: Client, lonely_backstage: Backstage) -> None:
    publish(lonely_backstage, status(durations_s=DURATIONS_S, vlm=LOADED))
    lonely.submit(LoadVlm(), timeout_s=60)
    assert not lonely.submit_ask("what?", timeout_s=60).progress.loads_vlm
    lonely.submit_mode("AUTOPILOT", timeout_s=60)
    assert lonely.submit_ask("what?", timeout_s=60).progress.loads_vlm


def test_the_operation_in_flight_comes_before_all(lonely: Client, lonely_backstage: Backstage) -> None:
    publish(lonely_backstage, status(durations_s={"ask": 100.0}, operation=operation("other", age_s=50.0)))
    progress = lonely.submit(Ping(), timeout_s=60).progress
    assert progress.before == ("ask",)
    assert progress.wait_s is not None
    assert 0 < progress.wait_s <= 50.0


def test_the_job_that_has_the_gpu_says_what_it_is_at(lonely: Client, lonely_backstage: Backstage) -> None:
    job = lonely.submit_ask("what?", timeout_s=60)
    lonely_backstage.redis.delete(lonely_backstage.keys.queue)
    at = operation(job.id, age_s=4.0, stage="generate", answer_tokens=30)
    publish(lonely_backstage, status(operation=at))
    progress = job.progress
    assert (progress.place, progress.before, progress.wait_s) == (0, (), 0.0)
    assert progress.operation == at
    assert progress.stage_s >= 4.0


def test_a_job_that_is_held_back_says_so(lonely: Client, lonely_backstage: Backstage) -> None:
    publish(lonely_backstage, status())
    job = lonely.submit(Ping(), timeout_s=60)
    assert job.progress.endless_starts == 0
    lonely_backstage.redis.hset(lonely_backstage.keys.suspects, job.id, 2)
    assert job.progress.endless_starts == 2
    queue = lonely.status().queue
    assert queue is not None
    assert queue.suspects == {job.id: 2}


def test_a_job_that_is_nowhere_has_no_place(lonely: Client, lonely_backstage: Backstage) -> None:
    job = lonely.submit(Ping(), timeout_s=60)
    assert job.progress.place is None  # there has never been a worker
    publish(lonely_backstage, status())
    lonely_backstage.redis.delete(lonely_backstage.keys.queue)
    assert job.progress == Progress(None)


def test_what_was_never_measured_makes_a_wait_unknown(lonely: Client, lonely_backstage: Backstage) -> None:
    publish(lonely_backstage, status(durations_s={"ask": 1.0}))
    lonely.submit(Ping(), timeout_s=60)
    assert lonely.submit(Ping(), timeout_s=60).progress.wait_s is None


def test_the_queue_is_searched_as_far_as_it_is_looked_at(lonely: Client, lonely_backstage: Backstage) -> None:
    publish(lonely_backstage, status())
    first = lonely.submit(Ping(), timeout_s=60)
    pushed: list[bytes] = lonely_backstage.redis.lrange(lonely_backstage.keys.queue, 0, -1)
    lonely_backstage.redis.lpush(lonely_backstage.keys.queue, *(pushed * (LOOKED_FOR - 2)))
    last = lonely.submit(Ping(), timeout_s=60)
    assert first.progress.place == 1
    assert last.progress.place == LOOKED_FOR
    late = lonely.submit(Ping(), timeout_s=60)
    assert late.progress.place is None


def test_a_prompt_that_looks_like_a_message_fools_nobody(lonely: Client, lonely_backstage: Backstage) -> None:
    publish(lonely_backstage, status())
    job = lonely.submit(Ping(), timeout_s=60)
    lonely_backstage.redis.delete(lonely_backstage.keys.queue)
    lonely.submit_ask(f'"id": "{job.id}" "task": "gpu.mode.set" "mode": "RECORDING"', timeout_s=60)
    behind = lonely.submit(Ping(), timeout_s=60)
    assert job.progress.place is None
    assert behind.progress.before == ("ask",)


def test_the_status_tells_age_and_wait_of_the_queue(lonely: Client, lonely_backstage: Backstage) -> None:
    publish(lonely_backstage, status(durations_s=DURATIONS_S))
    empty = lonely.status().queue
    assert empty is not None
    assert (empty.length, empty.oldest_age_s, empty.wait_s) == (0, None, 0.0)
    for _ in range(3):
        lonely.submit(Ping(), timeout_s=60)
    queue = lonely.status().queue
    assert queue is not None
    assert queue.length == 3
    assert queue.oldest_age_s is not None
    assert 0 <= queue.oldest_age_s < 60
    assert queue.wait_s == pytest.approx(0.75)


def test_a_long_queue_is_estimated_by_its_beginning(lonely: Client, lonely_backstage: Backstage) -> None:
    publish(lonely_backstage, status(durations_s=DURATIONS_S))
    lonely.submit(Ping(), timeout_s=60)
    (message,) = lonely_backstage.redis.lrange(lonely_backstage.keys.queue, 0, -1)
    lonely_backstage.redis.lpush(lonely_backstage.keys.queue, *([message] * (4 * LOOKED_AT - 1)))
    queue = lonely.status().queue
    assert queue is not None
    assert queue.wait_s == pytest.approx(0.25 * 4 * LOOKED_AT)


def test_what_is_no_message_of_ours_is_counted_all_the_same(lonely: Client, lonely_backstage: Backstage) -> None:
    publish(lonely_backstage, status(durations_s=DURATIONS_S))
    lonely_backstage.redis.lpush(lonely_backstage.keys.queue, b"\xff\x00 no message")
    push_raw(lonely_backstage, {"headers": {"task": "somebody.elses", "sent_unix_s": "never"}})
    queue = lonely.status().queue
    assert queue is not None
    assert (queue.length, queue.oldest_age_s, queue.wait_s) == (2, None, None)


def test_a_forecast_follows_the_vlm_through_the_queue() -> None:
    jobs = [
        Waiting("ask"),
        Waiting("unload_vlm"),
        Waiting("mode", ExecutionMode.RECORDING),
        Waiting("mode", ExecutionMode.IDLE),
        Waiting("ask"),
    ]
    seen = forecast(jobs, status(durations_s=DURATIONS_S), 0.0)
    assert seen.loads_vlm
    assert seen.vlm_loaded
    assert seen.wait_s == pytest.approx(2 * 5.0 + 2 * 2.0 + 1.0 + 2 * 0.5)


def test_a_load_in_flight_is_part_of_the_wait() -> None:
    in_flight = operation("other", stage="load_vlm")
    seen = forecast([], status(durations_s=DURATIONS_S, operation=in_flight), in_flight.since_unix_s)
    assert (seen.loads_vlm, seen.vlm_loaded) == (True, True)
    assert seen.wait_s == pytest.approx(7.0)


def test_what_was_read_before_the_answer_began_is_part_of_the_work_that_is_done() -> None:
    now_unix_s = status().taken_unix_s
    writing = OperationInFlight(
        job_id="other",
        kind="ask",
        since_unix_s=now_unix_s - 9.0,
        stage="generate",
        stage_since_unix_s=now_unix_s - 0.25,
        work_since_unix_s=now_unix_s - 1.5,
    )
    seen = forecast([], status(durations_s=DURATIONS_S, operation=writing), now_unix_s)
    assert seen.wait_s == pytest.approx(DURATIONS_S["ask"] - 1.5)
