"""A workflow that runs ten times: how often the VLM is loaded, and how long its answers are waited for.

The server is a stand-in whose load takes 2 s and whose answers take half a second, on a simulated GPU where the VLM and
CLIP fit beside each other; the rest of a workflow's time is spent waiting, as for windows that open.
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks import figures
from singletrack import Client
from singletrack.agent.remembered.gate import RememberedAnswers
from singletrack.agent.remembered.question import ScreenQuestion
from singletrack.agent.screen.screenshot import Screenshot
from singletrack_ops.demo.samples import samples_folder
from singletrack_ops.stack import Stack
from singletrack_ops.stand_in.server import StandInOllama
from singletrack_tasks.events import VlmLoaded

ROUNDS = 10
MODEL = "stand-in:7b"
VLM_MB, TOTAL_MB = 5600, 16384
LOAD_S, PIECES, PIECE_S = 2.0, 10, 0.05
IDLE_S, CHECK_S = 3.0, 0.5
# What the workflow does besides: until its first question, until its second, and until it runs again.
BEFORE_S, BETWEEN_S, AFTER_S = 3.5, 1.0, 4.5
STATUS = ScreenQuestion("Which orders are held back? Name their numbers.")
AMOUNT = ScreenQuestion("What is the total of this invoice?")


@dataclass
class _Tally:
    """What one way of running it came to."""

    waited_s: float = 0.0
    answers: list[str] = field(default_factory=list)


def run(stack: Stack) -> None:
    """Run it plainly, with the gate, with announcements, and with both; another amount in every second round."""
    for name, remembers, announces in (
        ("plainly", False, False),
        ("with remembered answers", True, False),
        ("with announcements", False, True),
        ("with both", True, True),
    ):
        with stack.client() as client:
            client.ensure_vlm_loaded()
            client.ensure_vlm_unloaded()
            client.set_mode("AUTOPILOT")
            _print(name, client, remembers=remembers, announces=announces)


def _print(name: str, client: Client, *, remembers: bool, announces: bool) -> None:
    gate = RememberedAnswers(client)
    before = client.status().intents
    since = [event_id for event_id, _ in client.events()][-1]
    tally = _Tally()
    for number in range(ROUNDS):
        _round(client, gate, tally, number, remembers=remembers, announces=announces)
    loads = sum(isinstance(event, VlmLoaded) for _, event in client.events(since=since))
    after = client.status().intents
    ended = {how: count - before.ended.get(how, 0) for how, count in after.ended.items()}
    told = ", ".join(f"{count} {how}" for how, count in ended.items() if count)
    print(
        f"  {name:26} {loads:2} loads, {tally.waited_s:5.1f} s waited for {2 * ROUNDS} answers,"
        f" {gate.savings.remembered:2} remembered{told and f'; announcements: {told}'}",
        flush=True,
    )


def _round(
    client: Client, gate: RememberedAnswers, tally: _Tally, number: int, *, remembers: bool, announces: bool
) -> None:
    orders, invoice = _screen("orders"), _screen("invoice", f"{1200 + number // 2},50")
    if announces:
        client.announce_vlm(in_s=BEFORE_S, for_s=BETWEEN_S + 10)
    client.embed_images([orders.pixels])
    time.sleep(BEFORE_S)
    tally.waited_s += _took_s(lambda: gate.ask(STATUS, orders, fresh=not remembers))
    time.sleep(BETWEEN_S)
    tally.waited_s += _took_s(lambda: gate.ask(AMOUNT, invoice, fresh=not remembers))
    time.sleep(AFTER_S)


def _took_s(ask: Callable[[], object]) -> float:
    return figures.time_ms(ask) / 1000


def _screen(page: str, text: str = "") -> Screenshot:
    with Image.open(samples_folder() / f"{page}.png") as opened:
        picture = opened.convert("RGB")
    ImageDraw.Draw(picture).text((2000, 1300), text, "black", ImageFont.load_default(26))
    return Screenshot.of(np.asarray(picture), title=page)


def main() -> None:
    """Measure on a stack of its own; some minutes."""
    with tempfile.TemporaryDirectory(prefix="singletrack-bench-") as name, StandInOllama({MODEL: VLM_MB}) as server:
        server.behaviour.load_s, server.behaviour.words, server.behaviour.piece_s = LOAD_S, PIECES, PIECE_S
        ours = {key: value for key, value in os.environ.items() if not key.startswith("SINGLETRACK_")}
        settings = {
            "OLLAMA_URL": server.url,
            "VLM_MODEL": MODEL,
            "SIMULATED_TOTAL_MB": TOTAL_MB,
            "SIMULATED_VLM_MB": VLM_MB,
            "IDLE_TIMEOUT_S": IDLE_S,
            "TICK_INTERVAL_S": CHECK_S,
            "METRICS_PORT": 0,
        }
        environ = ours | {f"SINGLETRACK_{key}": str(value) for key, value in settings.items()}
        folder = Path(name) / "stack"
        with Stack.start(folder, environ=environ, with_flower=False, tiny_clip=True, gpu="simulated") as stack:
            run(stack)


if __name__ == "__main__":
    main()
