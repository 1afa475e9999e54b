"""A question through the queue against the same question put directly to Ollama."""

import base64
import statistics

import requests

from benchmarks import figures
from singletrack_ops.demo.samples import samples_folder
from singletrack_ops.stack import Stack

ROUNDS = 100
PROMPT = "What is on this screen?"
MAX_TOKENS = 8


def run(stack: Stack) -> None:
    """Measure with a 2560 x 1600 screenshot and a loaded model; both ask for the same few tokens."""
    if stack.ollama is None:
        print("  no Ollama on this machine: not measured")
        return
    image = samples_folder() / "invoice.png"
    url, model = stack.ollama.url, stack.ollama.model
    message = {"role": "user", "content": PROMPT, "images": [base64.b64encode(image.read_bytes()).decode()]}
    options = {"num_predict": MAX_TOKENS, "seed": 1, "temperature": 0.0}
    body = {"model": model, "messages": [message], "stream": False, "keep_alive": 600, "options": options}
    with requests.Session() as session, stack.client() as client:

        def directly() -> None:
            session.post(f"{url}/api/chat", json=body, timeout=60).raise_for_status()

        def queued() -> None:
            client.ask(PROMPT, [image], options={"max_tokens": MAX_TOKENS, "seed": 1, "temperature": 0.0})

        client.set_mode("RECORDING")
        direct, ours = figures.interleaved_ms([directly, queued], ROUNDS, warm_up=5)
    more_ms = statistics.median(ours) - statistics.median(direct)
    print(f"  {'directly to Ollama':32} {figures.summary(direct)}")
    print(f"  {'through the queue':32} {figures.summary(ours)}   {more_ms:+.2f} ms in the median")
