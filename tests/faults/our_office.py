"""The product's own client as the place where errands are handed in."""

import inspect
import random
from typing import Any

from singletrack import Client, Job
from singletrack_tasks.errors import InvalidConfiguration, QueueFull, RedisUnavailable, SingletrackError
from singletrack_tasks.requests.embedding import EmbedTexts, FindClip
from singletrack_tasks.requests.mode import SetMode
from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.requests.request import Request
from singletrack_tasks.requests.vlm import Ask, LoadVlm, UnloadVlm, VlmOptions
from singletrack_tasks.schema import JsonSchema
from singletrack_tasks.status import ExecutionMode
from tests.faults import places
from tests.faults.errands import PATIENT_S, Errand
from tests.faults.player import Handle, NotTaken, Told
from tests.faults.recording import digest

# More strings than any model gets through in the time of a test.
_ENDLESS: JsonSchema = {"type": "array", "items": {"type": "string"}, "minItems": 100_000}
_DOUBLINGS = 40
_MANY = 5000
# What is to be checked against each takes longer than anybody waits.
_COSTLY: dict[str, JsonSchema] = {
    "backtracking": {"type": "string", "enum": ["a" * 60 + "b"], "pattern": "^(a|a|a|a|a|a)*$"},
    "references": {
        "$defs": {
            **{f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(_DOUBLINGS)},
            f"d{_DOUBLINGS}": {"type": "boolean"},
        },
        "$ref": "#/$defs/d0",
    },
    "many-properties": {
        "type": "object",
        "properties": {f"p{n}": {"type": "integer", "minimum": n} for n in range(_MANY)},
        "required": [f"p{n}" for n in range(50)],
    },
}
_PLAIN: dict[str, type[Request[Any]]] = {"load": LoadVlm, "unload": UnloadVlm, "find": FindClip}


class OurHandle:
    """A `Job`."""

    def __init__(self, job: "Job[Any]") -> None:
        self.id = job.id
        self._job = job

    def result(self) -> str:
        """Wait for the digest of its result; raises `Told`."""
        try:
            return digest(self._job.result().dump())
        except SingletrackError as error:
            raise Told(type(error).__name__) from error

    def cancel(self) -> None:
        """Call it off."""
        self._job.cancel()


class OurOffice:
    """A `Client`."""

    def __init__(self, url: str, track: str) -> None:
        # Workers come and go in a run: a caller is told the truth of each job, and not that nobody is there just now.
        self._client = Client(url, track, worker_grace_s=2 * PATIENT_S)
        self._submit: Any = self._client.submit
        self._takes_ids = "job_id" in inspect.signature(self._client.submit).parameters

    def submit(self, errand: Errand, job: str) -> Handle:
        """Hand one in; raises `NotTaken`."""
        more = {"job_id": job} if self._takes_ids else {}
        try:
            return OurHandle(self._submit(request_of(errand), timeout_s=errand.timeout_s, **more))
        except (RedisUnavailable, InvalidConfiguration) as error:
            raise NotTaken(type(error).__name__, again=self._takes_ids) from error
        except QueueFull as error:
            raise NotTaken(type(error).__name__, again=False) from error

    def close(self) -> None:
        """End the connections."""
        self._client.close()


def request_of(errand: Errand) -> Request[Any]:
    """Make the request of an errand."""
    if errand.kind in _COSTLY:
        return Ask(prompt=errand.word, json_schema=_COSTLY[errand.kind])
    match errand.kind:
        case "embed":
            return EmbedTexts(texts=(errand.word, f"{errand.word} and more"))
        case "ask":
            return Ask(prompt=errand.word, options=VlmOptions(max_tokens=3))
        case "long":
            return Ask(prompt=errand.word, json_schema=_ENDLESS)
        case "poison":
            return Ask(prompt=places.POISON)
        case "slow":
            return Ask(prompt=places.SLOW, options=VlmOptions(max_tokens=3))
        case "mode":
            return SetMode(mode=random.Random(errand.word).choice(list(ExecutionMode)))
        case plain:
            return _PLAIN.get(plain, Ping)()
