"""Makes the page about real GPUs from the reports that were kept: `python -m gpu_check.page ops/docs/gpu.md`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpu_check.report import NOT_RUN

RESULTS = Path(__file__).parent / "results"

_HEAD = """# On a real GPU

`make gpu` checks on this machine's NVIDIA GPU what the rest is tested with on a simulated one. It needs 5 GB of free
VRAM, no network and no model: the VLM is a [stand-in](design.md#the-rooms) for Ollama whose models are processes that
hold memory.

```console
$ make gpu
```

It prints a table and writes `gpu-report.json`. `python -m gpu_check`, which it runs, ends with exit status 1 if
anything failed, and with 2 and a line of advice where there is no usable GPU; make names it as `Error 1` or `Error 2`.
`--simulate` tries the check itself without a GPU, and `--plant` a fault that it has to find.

| section | what is checked |
|---|---|
| `nvml`, `context` | what the driver tells, and when the memory of a process that ended is back |
| `probe` | what a promotion is made of; throughput beside stock open_clip |
| `clip` | promotion, agreement with the CPU, demotion, a warm spare without CUDA |
| `modes` | P1 to P4 and P6, with a small and a large model, and with memory that is late |
| `room` | visitors, refusals and their figures, loads that fit in part or not at all |
| `drift` | strangers are told, and a VLM that grows is none |
| `faults` | illegal access, trap, endless kernel, no memory, SIGKILL at rest and in the middle of a migration |
| `stack` | a real Redis, worker and beat |
| `random` | 200 random operations, P1 to P6 after each |

P1 to P6 are the first six properties of `tests/property/checks.py`, here by the driver's figures. These are failures:

- a property that does not hold;
- more than 100 MB that come back after a receipt said that they were free, more than 50 MB that never do;
- a warm spare with memory on the GPU;
- 1 - cosine above 1e-4 between CPU and GPU;
- a refusal whose figures are off by more than 50 MB;
- an answer that is lost to a fault, or CLIP not back by the second check after it;
- throughput below two thirds of stock open_clip's at a batch of 32.

## Figures

"""
_NONE = "No real GPU has been seen yet: no report is kept in [results](../gpu_check/results/README.md).\n"
# By their names in a report: what they are, and their unit.
FIGURES: Mapping[str, str] = {
    "context_mb": "an empty CUDA context by the driver, MB",
    "clip_mb": "CLIP on the GPU, MB",
    "promotion_cold_s": "promotion without a warm spare, s",
    "promotion_warm_s": "promotion with a warm spare, s",
    "demotion_s": "demotion, s",
    "clip_residue_mb": "left on the GPU after all migrations, MB",
    "to_recording_s": "AUTOPILOT to RECORDING, s",
    "to_autopilot_s": "RECORDING to AUTOPILOT, s",
    "largest_distance": "largest 1 - cosine between CPU and GPU",
    "images_per_s": "images a second in batches of 32, in the encoder",
    "stock_images_per_s": "the same with stock open_clip",
    "nvml_read_us": "a reading of the memory, µs",
    "random_operations": "random operations",
}


def page(folder: Path = RESULTS) -> str:
    """Make the page from the reports in a folder: those of the newest day."""
    reports = newest(folder)
    return _HEAD + ("\n".join(map(_figures, reports)) if reports else _NONE)


def newest(folder: Path) -> list[dict[str, Any]]:
    """Return the reports of the newest day on which a real GPU was checked, in their order."""
    reports = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
    real = [report for report in reports if not report["about"]["simulated"]]
    last = max((_day(report) for report in real), default="")
    return sorted((report for report in real if _day(report) == last), key=lambda report: str(report["about"]["made"]))


def _day(report: Mapping[str, Any]) -> str:
    return str(report["about"]["made"])[:10]


def _figures(report: Mapping[str, Any]) -> str:
    about, figures = report["about"], report["figures"]
    only = f" (only {', '.join(about['only'])})" if about["only"] else ""
    rows = [f"| {what} | {figures[name]:.4g} |" for name, what in FIGURES.items() if name in figures]
    table = ["", "| what | measured |", "|---|---|", *rows] if rows else []
    return "\n".join(
        [f"On {about['gpu']}, driver {about['driver']}, {_day(report)}{only}: {_verdict(report)}.", *table, ""]
    )


def _verdict(report: Mapping[str, Any]) -> str:
    rows = report["rows"]
    left_out = [row["section"] for row in rows if row["value"] == NOT_RUN]
    failed = [
        f"`{row['section']}`: {row['name']}" for row in rows if row["verdict"] == "FAIL" and row["value"] != NOT_RUN
    ]
    passed = sum(row["verdict"] == "ok" for row in rows)
    cut = "" if report["complete"] else f" before the check was broken off in `{rows[-1]['section']}`"
    late = f"; no time was left for {', '.join(left_out)}" if left_out else ""
    return f"{passed} checks passed, {len(failed)} failed{': ' if failed else ''}{'; '.join(failed)}{cut}{late}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
