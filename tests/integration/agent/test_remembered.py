"""A gate before a real worker and a real VLM: it is asked once for a screen, and again for any other."""

import uuid
from typing import Literal

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydantic import BaseModel

from singletrack import Client
from singletrack.agent.errors import InvalidMemory
from singletrack.agent.fusion.engine import FusionEngine
from singletrack.agent.remembered.gate import RememberedAnswer, RememberedAnswers
from singletrack.agent.remembered.question import ScreenQuestion
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.geometry import Box
from singletrack_ops.demo.samples import samples_folder
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_tasks.errors import InvalidRequest, InvalidSchema
from tests.integration.worker_tools import is_loaded

pytestmark = pytest.mark.ollama

CLOCK = Box(2300, 10, 240, 60)
# A model that was never trained ends only where a schema makes it.
YES_OR_NO = {"enum": ["yes", "no"]}


class Fits(BaseModel):
    fits: Literal["yes", "no"]


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        self.now_s += 0.25
        return self.now_s


def screen(text: str = "", clock: str = "14:05") -> Screenshot:
    with Image.open(samples_folder() / "orders.png") as opened:
        picture = opened.convert("RGB")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((CLOCK.left, CLOCK.top, CLOCK.right - 1, CLOCK.bottom - 1), "white")
    draw.text((2310, 20), clock, "black", ImageFont.load_default(26))
    draw.text((1200, 1500), text, "black", ImageFont.load_default(13))
    return Screenshot.of(picture, title="Orders")


@pytest.fixture
def ask(client: Client) -> "Asking":
    return Asking(client)


class Asking:
    """Asks one question, new for each test, through one gate."""

    def __init__(self, client: Client, gate: RememberedAnswers | None = None) -> None:
        self.gate = RememberedAnswers(client) if gate is None else gate
        self.prompt = f"How many orders are open? {uuid.uuid4()}"

    def __call__(self, shown: Screenshot, *, fresh: bool = False, **fields: object) -> RememberedAnswer:
        question = ScreenQuestion(self.prompt, **({"schema": YES_OR_NO} | fields))  # type: ignore[arg-type]  # as its fields
        return self.gate.ask(question, shown, fresh=fresh)


def test_an_answer_holds_for_the_same_screen(ask: Asking, client: Client, ollama: EmbeddedOllama) -> None:
    first = ask(screen())
    assert (first.from_memory, first.similarity, first.age_s) == (False, None, 0)
    client.ensure_vlm_unloaded()
    again = ask(screen())
    assert (again.from_memory, again.job_id, again.text) == (True, first.job_id, first.text)
    assert again.similarity == 1
    assert again.age_s > 0
    assert not is_loaded(ollama)
    saved = ask.gate.savings
    assert (saved.asked, saved.remembered, saved.loads_avoided) == (2, 1, 1)
    assert first.job_id != ask(screen(), fresh=True).job_id


def test_another_amount_is_asked_about(ask: Asking) -> None:
    first = ask(screen("1,284.50"))
    changed = ask(screen("1,234.50"))
    assert not changed.from_memory
    assert changed.why == "the screen has changed"
    assert changed.job_id != first.job_id
    assert ask(screen("1,284.50")).job_id == first.job_id
    assert ask(screen("1,234.50")).job_id == changed.job_id


def test_a_clock_may_be_ignored_and_clip_has_its_say(ask: Asking) -> None:
    first = ask(screen(), ignored=(CLOCK,))
    later = ask(screen(clock="14:06"), ignored=(CLOCK,))
    assert (later.from_memory, later.job_id) == (True, first.job_id)
    assert later.similarity is not None
    assert later.similarity > 0.99
    assert not ask(screen(clock="14:06")).from_memory


def test_a_large_change_where_it_was_ignored_is_asked_about(ask: Asking) -> None:
    everything = Box(0, 0, 2560, 1600)
    ask(screen(), ignored=(everything,))
    with Image.open(samples_folder() / "settings.png") as opened:
        other = Screenshot.of(opened.convert("RGB"))
    changed = ask(other, ignored=(everything,))
    assert not changed.from_memory
    assert "not alike enough" in changed.why


def test_a_region_is_compared_and_seen_alone(ask: Asking) -> None:
    region = Box(1100, 1400, 400, 180)
    first = ask(screen("12"), region=region)
    assert ask(screen("12", clock="15:00"), region=region).job_id == first.job_id
    assert not ask(screen("13"), region=region).from_memory
    assert not ask(screen("12")).from_memory


def test_an_answer_fits_the_schema_it_was_asked_with(ask: Asking) -> None:
    first = ask(screen(), schema=Fits)
    again = ask(screen(), schema=Fits)
    assert again.from_memory
    assert isinstance(again.value, Fits)
    assert again.value == first.value
    assert again.value is not first.value
    plain = ask(screen(), schema=Fits.model_json_schema())
    assert not plain.from_memory
    assert isinstance(plain.value, dict)


def test_an_answer_grows_old(client: Client) -> None:
    clock = Clock()
    ask = Asking(client, RememberedAnswers(client, keep_s=60, clock=clock))
    ask(screen())
    clock.now_s += 50
    again = ask(screen())
    assert again.from_memory
    assert 50 < again.age_s < 60
    clock.now_s += 10
    assert "too long ago" in ask(screen()).why
    ask.gate.forget()
    assert not ask(screen()).from_memory


def test_a_cut_answer_is_not_kept(ask: Asking) -> None:
    cut = ask(screen(), schema=None, options={"max_tokens": 1})
    assert cut.answer.truncated == "max_tokens"
    assert not ask(screen(), schema=None, options={"max_tokens": 1}).from_memory


def test_without_clip_the_vlm_is_asked(client: Client, redis_url: str) -> None:
    with Client(redis_url, "nobody-serves-this", worker_grace_s=0.2) as nobody:
        ask = Asking(client, RememberedAnswers(client, FusionEngine(nobody)))
        first = ask(screen(), ignored=(CLOCK,))
        assert ask(screen(), ignored=(CLOCK,)).job_id == first.job_id
        unsure = ask(screen(clock="15:00"), ignored=(CLOCK,))
    assert not unsure.from_memory
    assert "memory could not be used" in unsure.why


def test_the_texts_of_a_screen_count_with_a_fusion(client: Client) -> None:
    ask = Asking(client, RememberedAnswers(client, FusionEngine(client), threshold=0.999))
    first = ask(screen(), ignored=(CLOCK,), texts=("Orders", "Open"))
    again = ask(screen(clock="14:06"), ignored=(CLOCK,), texts=("Orders", "Open"))
    assert (again.from_memory, again.job_id) == (True, first.job_id)
    assert not ask(screen(), ignored=(CLOCK,), texts=tuple(f"other word {n}" for n in range(90))).from_memory


def test_wrong_questions_are_refused_as_by_the_client(ask: Asking) -> None:
    with pytest.raises(InvalidSchema):
        ask(screen(), schema={"type": {1}})
    with pytest.raises(InvalidRequest):
        ask(screen(), options={"max_tokens": -1})
    with pytest.raises(InvalidMemory, match="inside the screenshot"):
        ask(screen(), region=Box(2500, 0, 100, 100))
    for timeout_s in (0, float("nan"), 1e9, "5"):
        with pytest.raises(InvalidMemory, match="timeout_s"):
            ask.gate.ask("What?", screen(), timeout_s=timeout_s)  # type: ignore[arg-type]  # as a caller may
    assert len(ask.gate) == 0


@pytest.mark.parametrize(
    "settings", [{"threshold": 0.1}, {"threshold": 1.1}, {"keep_s": -1}, {"keep_s": np.nan}, {"capacity": 0}]
)
def test_settings_have_bounds(client: Client, settings: dict[str, float]) -> None:
    with pytest.raises(InvalidMemory, match=next(iter(settings))):
        RememberedAnswers(client, **settings)  # type: ignore[arg-type]  # as a caller may
