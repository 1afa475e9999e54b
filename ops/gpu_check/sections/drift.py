"""What is on the GPU that is not ours is told, and what is ours never is."""

from gpu_check.bench import Bench
from gpu_check.lab import OTHER, Lab
from gpu_check.report import Findings

_STRANGER_MB = 700
_GROWTH_MB = 900
_TICKS = 3


def run(lab: Lab, found: Findings) -> None:
    """A stranger's process, somebody's model, a VLM that grows."""
    with lab.server() as server, lab.bench(server, tiny=True) as bench:
        bench.mode("AUTOPILOT")
        bench.tick()
        _stranger(lab, found, bench)
        _model(found, bench)
        _growth(found, bench)


def _stranger(lab: Lab, found: Findings, bench: Bench) -> None:
    stranger = lab.stranger(_STRANGER_MB)
    try:
        seen = _seen(bench)
        by_pid = any(f"({stranger.pid})" in it for it in seen)
        # In a container the driver may list no process: memory without an owner is all that can be told then.
        told = by_pid or (bool(seen) and stranger.pid not in lab.driver.held_mb())
        found.expect(f"a stranger with {_STRANGER_MB} MB is told", told, seen)
    finally:
        stranger.end()
    bench.next_tick()
    found.expect("and is gone", not bench.status.drift, _told(bench))


def _model(found: Findings, bench: Bench) -> None:
    bench.server.models.load(OTHER, 60.0)
    bench.next_tick()
    found.expect("another's model at the server is told", any(OTHER in it for it in _told(bench)), _told(bench))
    bench.server.models.send_away(OTHER)
    bench.next_tick()


def _growth(found: Findings, bench: Bench) -> None:
    bench.server.behaviour.growth_mb = _GROWTH_MB
    bench.mode("RECORDING")
    bench.ask()
    alarms = _seen(bench)
    found.expect(f"a VLM that grew by {_GROWTH_MB} MB is no stranger", not alarms, alarms)
    bench.server.behaviour.growth_mb = 0
    bench.mode("AUTOPILOT")
    found.expect("and unloads", not bench.codes and not bench.listed, bench.codes)


def _seen(bench: Bench) -> list[str]:
    """What is told after some checks."""
    for _ in range(_TICKS):
        bench.next_tick()
    return _told(bench)


def _told(bench: Bench) -> list[str]:
    return [f"{it.what} {it.name} ({it.pid}) {it.vram_mb} MB" for it in bench.status.drift]
