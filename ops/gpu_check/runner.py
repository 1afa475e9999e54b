"""Runs the sections one after the other, within the time that there is."""

import logging
import shutil
import time
import traceback
from datetime import UTC, datetime
from importlib.metadata import version

from gpu_check import weights
from gpu_check.driver import NvmlDriver
from gpu_check.lab import TOTAL_MB, Lab
from gpu_check.options import Options
from gpu_check.plants import Plant
from gpu_check.preflight import usable_gpu
from gpu_check.report import NOT_RUN, Findings, Report
from gpu_check.sections.catalogue import SECTIONS
from singletrack_ops.stand_in.card import SimulatedCard

# What a fast simulation leaves out.
LEFT_OUT = {"stack": "left out of a fast simulation: the integration tests start such a stack"}


def run(options: Options) -> bool:
    """Check, print a table and write the report; returns whether everything passed.

    Raises `NoUsableGpu`, and `OpsError` if what the check needs cannot be had.
    """
    driver = _card(options) if options.simulate else usable_gpu(options.gpu_index)
    options.work.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.WARNING, filename=options.work / "gpu-check.log", force=True)
    lab = Lab.of(options, driver, *weights.prepare(options))
    report = Report(options.out, _about(lab, driver))
    deadline_s = time.monotonic() + options.budget_s
    for name in options.only or SECTIONS:
        if name in LEFT_OUT and options.simulate and options.fast and not options.only:
            report.section_ended(name, LEFT_OUT[name])
        else:
            _section(lab, report, name, deadline_s)
    report.finish()
    return not report.failed


def _section(lab: Lab, report: Report, name: str, deadline_s: float) -> None:
    found, began_s = Findings(report, name), time.monotonic()
    if began_s >= deadline_s:
        report.section_ended(name, NOT_RUN)
        found.expect("the section", False, NOT_RUN)
        return
    try:
        SECTIONS[name](lab, found)
    except Exception as error:  # what breaks one section must not hide what the others find
        logging.getLogger(__name__).exception("section %s", name)
        found.expect("the section", False, f"{type(error).__name__}: {error}", traceback.format_exc()[-500:])
        report.section_ended(name, f"broke after {time.monotonic() - began_s:.1f} s")
    else:
        report.section_ended(name, f"{time.monotonic() - began_s:.1f} s")


def _card(options: Options) -> SimulatedCard:
    folder = options.work / "card"
    shutil.rmtree(folder, ignore_errors=True)
    plant = options.plant
    return SimulatedCard.make(
        folder, total_mb=TOTAL_MB, misbehaviour=None if plant is None else Plant(plant).misbehaviour
    )


def _about(lab: Lab, driver: NvmlDriver | SimulatedCard) -> dict[str, object]:
    told = "" if isinstance(driver, SimulatedCard) else str(driver.nvml.nvmlSystemGetDriverVersion())
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "release": version("singletrack"),
        "gpu": lab.driver.name,
        "driver": told,
        "simulated": not lab.is_real,
        "fast": lab.options.fast,
        "plant": lab.options.plant,
        "seed": lab.options.seed,
        "random_weights": not lab.options.weights,
        "only": list(lab.options.only),
    }
