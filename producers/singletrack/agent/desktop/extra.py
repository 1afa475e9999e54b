"""Where the packages of the extra `desktop` are missing, or have no desktop to talk to."""

from collections.abc import Iterator
from contextlib import contextmanager

from singletrack.agent.errors import MissingExtra, NoDesktop

INSTALL = "pip install 'singletrack[agent,desktop]'"


@contextmanager
def desktop_extra() -> Iterator[None]:
    """Wrap the imports of mss, pynput and Xlib.

    Raises `MissingExtra` for one that is not installed, `NoDesktop` for one that finds no desktop.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(f"A real desktop needs the package {error.name}: {INSTALL}") from error
    except ImportError as error:
        raise NoDesktop(f"Mouse and keyboard cannot be reached: {_first_line(error)}") from error


def _first_line(error: ImportError) -> str:
    return str(error).partition("\n")[0]
