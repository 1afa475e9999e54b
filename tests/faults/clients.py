"""A client process of a run: `python -m tests.faults.clients NAME SEED PAUSE_S ours|stock`.

It sends what it draws until the file `stop` lies beside the history, waits for the rest, and ends with status 0 if it
was told the outcome of everything.
"""

import os
import random
import sys
import time
from pathlib import Path

from tests.faults import places
from tests.faults.errands import PATIENT_S, draw
from tests.faults.our_office import OurOffice
from tests.faults.player import Office, Player
from tests.faults.recording import journal
from tests.faults.stock import URL, StockOffice

STOP = "stop"
FINISH_S = PATIENT_S + 15


def main(name: str, seed: str, pause_s: str, subject: str) -> int:
    """Play until told to stop."""
    stop = Path(os.environ[places.HISTORY]).with_name(STOP)
    rng = random.Random(f"{seed} {name}")
    player = Player(name, office_of(subject, os.environ), journal(), goes_on=lambda: not stop.exists())
    while not stop.exists():
        player.send(draw(rng))
        time.sleep(rng.expovariate(1 / float(pause_s)))
    return 0 if player.finish(FINISH_S) else 1


def office_of(subject: str, environ: "os._Environ[str] | dict[str, str]") -> Office:
    """Open the office of the product, or of the stock app."""
    if subject == "stock":
        return StockOffice(environ[URL])
    return OurOffice(environ["SINGLETRACK_REDIS_URL"], environ["SINGLETRACK_TRACK"])


if __name__ == "__main__":
    status = main(*sys.argv[1:])
    # Threads that wait in vain do not keep the process.
    sys.stdout.flush()
    os._exit(status)
