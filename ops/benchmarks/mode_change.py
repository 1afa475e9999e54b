"""What a change to RECORDING and back costs besides the load itself, measured at Ollama directly."""

import statistics
import time

import psutil
import requests

from benchmarks import figures
from singletrack_ops.stack import Stack

ROUNDS = 10


def run(stack: Stack) -> None:
    """Measure from AUTOPILOT with CLIP on the GPU to RECORDING and back; the spare encoder is warm each time."""
    if stack.ollama is None:
        print("  no Ollama on this machine: not measured")
        return
    there: list[float] = []
    back: list[float] = []
    with stack.client() as client:
        client.set_mode("AUTOPILOT")
        for _ in range(ROUNDS):
            _until_at_rest(stack)
            there.append(figures.time_ms(lambda: client.set_mode("RECORDING")))
            back.append(figures.time_ms(lambda: client.set_mode("AUTOPILOT")))
    loads = [_load_ms(stack.ollama.url, str(stack.ollama.model)) for _ in range(ROUNDS)]
    beside_ms = statistics.median(there) - statistics.median(loads)
    print(f"  {'AUTOPILOT to RECORDING':32} {figures.summary(there)}")
    print(f"  {'the load alone, at Ollama':32} {figures.summary(loads)}   the rest {beside_ms:.0f} ms")
    print(f"  {'RECORDING to AUTOPILOT':32} {figures.summary(back)}")


def _load_ms(url: str, model: str) -> float:
    """Load a model directly at the server, return how long that took, and unload it."""
    with requests.Session() as session:
        load = {"model": model, "stream": False}
        took_ms = figures.time_ms(lambda: session.post(f"{url}/api/generate", json=load, timeout=60))
        session.post(f"{url}/api/generate", json={"model": model, "keep_alive": 0}, timeout=60).raise_for_status()
        while session.get(f"{url}/api/ps", timeout=10).json()["models"]:
            pass
    return took_ms


def _until_at_rest(stack: Stack) -> None:
    """Wait until the encoder processes are idle: then the next spare has imported everything."""
    worker = psutil.Process(stack.worker.pid)
    spent_s = -1.0
    while (now_s := _cpu_s(worker)) - spent_s > 0.02:
        spent_s = now_s
        time.sleep(0.5)


def _cpu_s(worker: psutil.Process) -> float:
    times = [child.cpu_times() for child in worker.children(recursive=True)]
    return sum(spent.user + spent.system for spent in times)
