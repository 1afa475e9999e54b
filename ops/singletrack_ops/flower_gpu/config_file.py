"""Finds Flower's configuration: a wheel has it inside this package, a checkout beside it."""

from pathlib import Path

from singletrack_ops.errors import OpsError

_OPS = Path(__file__).parents[1]
_PLACES = (_OPS / "flower", _OPS.parent / "flower")


def config_file() -> Path:
    """The file for Flower's `--conf`; raises `OpsError` if the installation lacks it."""
    for place in _PLACES:
        if (file := place / "flowerconfig.py").is_file():
            return file
    raise OpsError(f"Flower's configuration is missing ({_PLACES[0]}). Install singletrack again.")
