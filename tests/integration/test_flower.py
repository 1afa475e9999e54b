"""Flower beside a running worker, looked at with a real browser (R2.1), and asked without one."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from singletrack import Client
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.flower_gpu.config_file import config_file
from singletrack_ops.services import start_flower
from singletrack_ops.stack import Stack
from singletrack_tasks.errors import AnswerOutsideSchema
from tests.integration.browser import Browser, open_browser
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import clean_environ, foreign_producer, submit_endless, worker_environ

TRACK = "flower"
AUTH = ("operator", "pass-word")
PROMPT = "what-nobody-else-may-read"
TIMEOUT_S = 30


@dataclass(frozen=True)
class Work:
    """What was done before anybody looked: the answer to a question, and the jobs by what they were."""

    answer: str
    ask: str
    embed: str
    mode: str
    failed: str
    foreign: str


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, ollama: EmbeddedOllama, tiny_clip: Path
) -> Iterator[Stack]:
    """A worker on a simulated GPU on which the tenants do not fit together, and a Flower that wants a password."""
    settings = {"simulated_total_mb": 8192, "simulated_vlm_mb": 6600, "simulated_clip_mb": 1400}
    environ = worker_environ(redis_url, TRACK, ollama, clip_weights=f"local-dir:{tiny_clip}", **settings)
    folder = tmp_path_factory.mktemp("flower")
    flower = {"FLOWER_BASIC_AUTH": ":".join(AUTH)}
    with Stack.start(folder, environ=environ, gpu="simulated", with_beat=False, extra_env=flower) as running:
        yield running


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    with stack.client() as made:
        yield made


@pytest.fixture(scope="module")
def url(stack: Stack) -> str:
    assert stack.flower_url is not None
    return stack.flower_url


@pytest.fixture(scope="module")
def work(stack: Stack, client: Client, url: str) -> Work:
    """Some of everything, and Flower has heard of it."""
    # Others use the same server: the change of mode is to have something to move.
    client.ensure_vlm_unloaded()
    mode = client.submit_mode("RECORDING")
    mode.result()
    ask = client.submit_ask(PROMPT, options={"max_tokens": 12})
    answer = ask.result().text
    client.set_mode("AUTOPILOT")
    client.embed_texts([f"{PROMPT}-{number}" for number in range(32)])
    embed = _newest(url, "gpu.embed.texts")
    done = Work(answer, ask.id, embed, mode.id, _outside_schema(client), _foreign(client, stack))
    wait_for(lambda: _info(url, done.foreign).get("state") == "SUCCESS", "Flower has heard of it", TIMEOUT_S)
    return done


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, url: str) -> Iterator[Browser]:
    """A browser that has given the password."""
    with open_browser(tmp_path_factory.mktemp("browser")) as opened:
        opened.open(url.replace("://", f"://{AUTH[0]}:{AUTH[1]}@"))
        yield opened


def _get(url: str, path: str, auth: tuple[str, str] | None = AUTH) -> requests.Response:
    return requests.get(f"{url}{path}", auth=auth, timeout=TIMEOUT_S)


def _info(url: str, job_id: str) -> dict[str, object]:
    answer = _get(url, f"/api/task/info/{job_id}")
    found: dict[str, object] = answer.json() if answer.status_code == requests.codes.ok else {}
    return found


def _newest(url: str, task: str) -> str:
    """The id of the newest job of a kind that Flower has seen through."""

    def jobs() -> list[str]:
        return list(_get(url, f"/api/tasks?taskname={task}&state=SUCCESS&limit=1").json())

    wait_for(lambda: bool(jobs()), f"Flower has seen {task}", TIMEOUT_S)
    return jobs()[0]


def _outside_schema(client: Client) -> str:
    """A question that no model answers in its schema: two tokens are no object."""
    schema = {"type": "object", "required": ["label"], "properties": {"label": {"type": "string", "minLength": 200}}}
    job = client.submit_ask(PROMPT, schema=schema, options={"max_tokens": 2})
    with pytest.raises(AnswerOutsideSchema):
        job.result()
    return job.id


def _foreign(client: Client, stack: Stack) -> str:
    """A question as a plain Celery app sends it, all of it in the message's headers."""
    with foreign_producer(stack.redis_url, TRACK) as app:
        request = {"prompt": PROMPT, "options": {"max_tokens": 1}}
        sent = app.send_task("gpu.vlm.ask", kwargs={"request": request}, queue="gpu")
    # The queue is first in, first out: when this one is answered, so is that one.
    client.ask(PROMPT, options={"max_tokens": 1})
    return str(sent.id)


def test_the_workers_page_tells_of_the_gpu(browser: Browser, url: str, work: Work, client: Client) -> None:
    browser.open(f"{url}/workers")
    wait_for(lambda: "celery@" in browser.text("#workers-table tbody"), "the worker is listed")
    browser.picture("workers")
    host = client.status().worker.host
    browser.open(f"{url}/worker/celery@{host}")
    # What it knew at the last look is shown first.
    browser.reload_until(lambda: browser.table("#tab-pool").get("Gpu mode") == "AUTOPILOT", "the mode is shown")
    pool = browser.table("#tab-pool")
    token = client.status().lease
    assert token is not None
    assert pool["Gpu token"] == str(token.token)
    assert re.fullmatch(r"[\d]+ of 8192 MB", pool["Gpu vram"])
    assert pool["Gpu degraded"] == "None"
    assert pool["Gpu clip"] in ("Cpu", "Cuda:0")
    assert pool["Gpu vlm"] == "Loaded, 6600 MB"
    browser.picture("worker-pool")
    browser.click("#worker-tab-other")
    wait_for(lambda: browser.text("#tab-other") != "", "the tab is open")
    other = browser.table("#tab-other")
    assert other["gpu_mode"] == "AUTOPILOT"
    assert other["gpu_vram_total_mb"] == "8192"
    assert other["gpu_track"] == TRACK
    assert other["gpu_last_error"] == "AnswerOutsideSchema in ask"
    browser.picture("worker-other", whole=True)


def test_tasks_are_shown_by_what_they_were_and_not_by_what_was_in_them(
    browser: Browser, url: str, work: Work, client: Client
) -> None:
    browser.open(f"{url}/tasks")
    wait_for(lambda: "gpu.mode.set" in browser.text("#tasks-table"), "the tasks are listed")
    assert PROMPT not in browser.driver.page_source
    browser.picture("tasks")
    shown = {name: _read_task(browser, url, name, job) for name, job in vars(work).items() if name != "answer"}
    assert f"prompt of {len(PROMPT)} characters, images=0" in shown["ask"]
    assert re.search(r"answer of \d+ tokens on \w+ in [\d.]+ m?s", shown["ask"])
    assert "IDLE -> RECORDING in" in shown["mode"]
    assert "load_vlm" in shown["mode"]
    assert re.search(r"32 x \d+ on (cpu|cuda:0) in", shown["embed"])
    assert "AnswerOutsideSchema(" in shown["failed"]
    assert f"prompt of {len(PROMPT)} characters" in shown["foreign"]
    for text in shown.values():
        assert PROMPT not in text
        assert work.answer.strip() not in text


def _read_task(browser: Browser, url: str, name: str, job_id: str) -> str:
    browser.open(f"{url}/task/{job_id}")
    browser.picture(f"task-{name}")
    return browser.text("#task-page")


def test_answers_are_in_no_log_and_no_api(stack: Stack, url: str, work: Work) -> None:
    log = (stack.folder / "worker.log").read_text(encoding="utf-8")
    assert f"Task gpu.vlm.ask[{work.ask}] succeeded" in log
    told = log + json.dumps(_get(url, "/api/tasks").json()) + (stack.folder / "flower.log").read_text(encoding="utf-8")
    assert PROMPT not in told
    assert work.answer.strip() not in told
    assert _get(url, f"/api/task/result/{work.ask}").status_code == requests.codes.forbidden


def test_the_gpu_page_shows_it_all_and_refreshes_itself(browser: Browser, url: str, work: Work, client: Client) -> None:
    browser.open(f"{url}/workers")
    browser.click(".app-nav a[href='/gpu']")
    wait_for(lambda: browser.text(".app-nav .active") == "GPU", "the page is open")
    status = client.status()
    assert browser.text("#gpu-mode") == "AUTOPILOT"
    assert browser.text("#gpu-vlm") == status.vlm.state
    assert browser.text("#gpu-clip") == status.clip.device
    assert "of 8,192 MB used" in browser.text("#gpu-vram")
    assert f"track {TRACK}" in browser.text("#gpu-title")
    transitions = browser.text("#gpu-transitions")
    assert "IDLE → RECORDING" in transitions
    assert "RECORDING → AUTOPILOT" in transitions
    assert "mode_changed" in browser.text("#gpu-events")
    assert browser.count("svg.gpu-timeline path.gpu-vlm") == 1
    # Drawn by the events alone, where the worker was too busy to hand out its recording in time: the next look has it.
    wait_for(lambda: browser.count("svg.gpu-timeline line.gpu-change") >= 2, "the page shows both changes")
    assert "AnswerOutsideSchema" in browser.text("#gpu-live")
    browser.picture("gpu")
    browser.picture("gpu-whole", whole=True)
    job = submit_endless(client)
    try:
        wait_for(lambda: "ask for" in browser.text("#gpu-live"), "the page tells of the question", 30)
        browser.picture("gpu-at-work")
        answer = _get(url, "/gpu/api").json()
        assert answer["status"]["operation"]["job_id"] == job.id
    finally:
        job.cancel()
    wait_for(lambda: "nothing in flight" in browser.text("#gpu-live"), "the page tells that it is over", 30)


def test_the_page_is_dark_where_the_system_is(browser: Browser, url: str, work: Work) -> None:
    browser.darken()
    browser.open(f"{url}/gpu")
    wait_for(lambda: browser.text("#gpu-mode") == "AUTOPILOT", "the page is there")
    assert max(browser.colour(".metric-card")) < 64
    assert min(browser.colour("#gpu-mode", "color")) > 128
    browser.picture("gpu-dark")


@pytest.mark.parametrize(
    "path",
    ["/gpu", "/gpu?live=1", "/gpu/api", "/metrics", "/workers", "/api/workers", "/broker", "/api/queues/length"],
)
@pytest.mark.parametrize("auth", [None, ("operator", "wrong")])
def test_without_the_password_nothing_is_told(url: str, path: str, auth: tuple[str, str] | None) -> None:
    answer = _get(url, path, auth)
    assert answer.status_code == requests.codes.unauthorized
    assert answer.text in ("Access denied", "")


def test_with_the_password_flower_is_read_only_and_tells_its_figures(url: str, client: Client, work: Work) -> None:
    assert "flower_events_total" in _get(url, "/metrics").text
    assert _get(url, "/healthcheck", None).text == "OK"
    host = client.status().worker.host
    refused = requests.post(f"{url}/api/worker/shutdown/celery@{host}", auth=AUTH, timeout=TIMEOUT_S)
    assert refused.status_code == requests.codes.forbidden


def test_the_brokers_page_finds_the_queue(browser: Browser, url: str, stack: Stack) -> None:
    browser.open(f"{url}/workers")
    browser.click(".app-nav a[href='/broker']")
    wait_for(lambda: "gpu" in browser.text("#main-content table").split(), "the queue is listed")
    assert _get(url, "/api/queues/length").json() == {"active_queues": [{"name": "gpu", "messages": 0}]}


def test_stats_are_answered_during_a_long_operation(stack: Stack, client: Client) -> None:
    job = submit_endless(client)
    try:
        with foreign_producer(stack.redis_url, TRACK) as app:
            # The stubs know Celery's own figures only.
            answers: dict[str, dict[str, Any]] = dict(app.control.inspect(timeout=5).stats() or {})  # type: ignore[arg-type]
        (stats,) = answers.values()
        assert stats["gpu_operation"].startswith("ask, ")
        assert stats["gpu_job"] == job.id
        assert all(isinstance(value, str) for name, value in stats.items() if name.startswith("gpu_"))
    finally:
        job.cancel()


def test_it_does_not_start_where_everybody_could_come_in(tmp_path: Path, redis_url: str) -> None:
    command = [sys.executable, "-m", "celery", "-A", "singletrack_worker", "flower", f"--conf={config_file()}"]
    environ = clean_environ() | {"SINGLETRACK_REDIS_URL": redis_url, "SINGLETRACK_TRACK": "nobody"}
    for told, address in ((environ, "--address=0.0.0.0"), (environ | {"FLOWER_ADDRESS": "0.0.0.0"}, "--port=0")):
        done = subprocess.run(
            [*command, address], env=told, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
        assert done.returncode == 1
        assert "Flower does not start: it would listen on 0.0.0.0 and let everybody in" in done.stderr
        assert "Traceback" not in done.stderr


def test_without_a_worker_the_page_says_so(tmp_path: Path, redis_url: str) -> None:
    environ = clean_environ() | {"SINGLETRACK_REDIS_URL": redis_url, "SINGLETRACK_TRACK": "nobody"}
    flower = start_flower(tmp_path, environ, None)
    try:
        page = _get(flower.url, "/gpu", None)
        assert page.status_code == requests.codes.ok
        assert "no worker serves the track" in page.text
        assert _get(flower.url, "/gpu/api", None).json()["status"] is None
    finally:
        flower.child.stop()
