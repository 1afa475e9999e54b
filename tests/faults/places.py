"""Names that the processes of a run share: variables of their environment, words with a meaning, folders."""

from pathlib import Path

ROOT = Path(__file__).parents[2]

HISTORY = "FAULTS_HISTORY"
HOST = "FAULTS_HOST"
CLOCK = "FAULTS_CLOCK"
RUN = "FAULTS_RUN"
VISIBILITY = "FAULTS_VISIBILITY_S"

# The prompt of a question that kills its worker.
POISON = "poison: kill the worker that reads this"
# The prompt of a question that keeps its worker busy for so long, whatever else happens.
SLOW = "slow: take your time"
SLOW_S = 4.0
