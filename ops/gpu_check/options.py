"""What the check is told on its command line."""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gpu_check.plants import Plant

_WORK = Path(tempfile.gettempdir()) / "singletrack-gpu-check"


@dataclass(frozen=True)
class Options:
    """How to check.

    No section begins after `budget_s`; `only` is empty for all of them, `weights` '' for random ones.
    """

    out: Path
    work: Path
    gpu_index: int = 0
    simulate: bool = False
    fast: bool = False
    budget_s: float = 1800.0
    seed: int = 1
    only: tuple[str, ...] = ()
    weights: str = ""
    plant: Plant | None = None

    @classmethod
    def parse(cls, sections: Sequence[str], arguments: Sequence[str] | None = None) -> Self:
        """Read the command line; ends the program if it makes no sense."""
        parser = _parser(sections)
        given = parser.parse_args(arguments)
        if given.plant is not None and not given.simulate:
            parser.error("--plant is for --simulate")
        return cls(
            out=given.out.absolute(),
            work=given.work.absolute(),
            gpu_index=given.gpu,
            simulate=given.simulate,
            fast=given.fast,
            budget_s=given.budget,
            seed=given.seed,
            only=tuple(given.only),
            weights=given.weights,
            plant=None if given.plant is None else Plant(given.plant),
        )


def _parser(sections: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gpu_check",
        description="Check Singletrack on this machine's GPU. Exit status 0: all passed, 1: something failed, "
        "2: there is no usable GPU.",
    )
    parser.add_argument("--out", type=Path, default=Path("gpu-report.json"), help="where the report goes")
    parser.add_argument("--work", type=Path, default=_WORK, help="a folder for data")
    parser.add_argument("--gpu", type=int, default=0, help="which GPU, counted as the driver counts")
    parser.add_argument("--budget", type=float, default=1800.0, help="seconds after which no section begins")
    parser.add_argument("--fast", action="store_true", help="fewer repetitions")
    parser.add_argument("--only", nargs="+", default=(), choices=sections, metavar="SECTION", help=" ".join(sections))
    parser.add_argument("--seed", type=int, default=1, help="of the random operations")
    parser.add_argument(
        "--weights", default="", help="CLIP's weights, as in SINGLETRACK_CLIP_WEIGHTS; random ones else"
    )
    parser.add_argument("--simulate", action="store_true", help="try the check itself, on a GPU that is not there")
    parser.add_argument("--plant", choices=[*Plant], help="a fault for a simulation, which has to be found")
    return parser
