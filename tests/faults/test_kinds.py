"""The kinds of faults, apart from any world: which are drawn, and what the spoiled messages are."""

import json
import random

import pytest

from tests.faults import malformed
from tests.faults.campaign import kinds_for, plan
from tests.faults.faults import KINDS
from tests.faults.history import Fault
from tests.faults.kinds.mutants import CHANGES, LONG_BYTES, long, mutants, renamed
from tests.faults.report import FUZZED, Report
from tests.faults.subjects import OURS

MESSAGE = malformed.good("gpu.ping", {"request": {}})
RAW = json.dumps(MESSAGE).encode()
JOB = MESSAGE["headers"]["id"].encode()


def test_a_kind_without_weight_comes_only_when_it_is_named() -> None:
    resting = {name for name, kind in KINDS.items() if not kind.weight}
    assert not resting & set(plan(random.Random(1), kinds_for(OURS, ()), 5000))
    for name in resting:
        assert plan(random.Random(1), kinds_for(OURS, [name]), 2) == [name, name]


def test_every_other_kind_comes() -> None:
    assert set(plan(random.Random(1), kinds_for(OURS, ()), 50_000)) == {name for name in KINDS if KINDS[name].weight}


def test_a_mutant_is_nobodys_job() -> None:
    batch = list(mutants(random.Random(2), [RAW], 500))
    assert len(batch) == 500
    assert not [raw for raw in batch if JOB in raw]
    assert len(set(batch)) > 400
    assert json.loads(renamed(random.Random(3), RAW))["headers"]["task"] == "gpu.ping"


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_each_change_spoils_and_bears_what_the_others_have_spoiled(change: object) -> None:
    assert callable(change)
    rng = random.Random(4)
    assert any(change(rng, RAW) != RAW for _ in range(20))
    for raw in (b"", b"null", b"[" * 5000, bytes(range(256))):
        assert isinstance(change(rng, raw), bytes)


def test_the_long_one_is_long_and_whole() -> None:
    raw = long(RAW)
    assert len(raw) > LONG_BYTES
    assert json.loads(raw)["headers"]["id"] == JOB.decode()


def test_a_report_counts_the_spoiled_messages() -> None:
    report = Report()
    report.add("world", [Fault(1, 1, FUZZED, 50), Fault(2, 2, FUZZED, 7), Fault(3, 3, "malformed", 5)])
    assert "spoiled by chance: 57" in report.text()
