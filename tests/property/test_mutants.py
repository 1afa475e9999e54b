"""Each property's check notices a manager that is broken in the way that the property forbids."""

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.property import checks, drift_checks, mutants
from tests.property.checks import Check
from tests.property.crowd import WORK, Crowd
from tests.property.machine import machine_for
from tests.property.world import Alter

# The same examples every time, for one release of Hypothesis and one set of constants in our modules, which it draws
# from too; the hardest is found by one example in 150. None is made smaller: it matters only that one is found.
HUNT = settings(
    max_examples=3000, stateful_step_count=40, deadline=None, derandomize=True, database=None, phases=[Phase.generate]
)

CASES: tuple[tuple[Check, Alter], ...] = (
    (checks.p01_autopilot_unloads, mutants.forgets("unload_vlm")),
    (checks.p02_recording_loads, mutants.forgets("load_vlm")),
    (checks.p03_autopilot_has_clip_on_the_gpu, mutants.forgets("promote_clip")),
    (checks.p04_unloading_frees_memory, mutants.does_not_wait_for_the_memory),
    (checks.p05_statuses_are_whole, mutants.says_that_the_vlm_is_unloaded),
    (checks.p06_clip_leaves_before_a_load, mutants.forgets("demote_clip")),
    (checks.p07_embeddings_are_consistent, mutants.embeds_something_else_on_the_gpu),
    (checks.p08_idle_vlm_is_unloaded, mutants.does_not_notice_uses),
    (checks.p08_idle_vlm_is_unloaded, mutants.never_finds_the_vlm_idle),
    (checks.p08_idle_vlm_is_unloaded, mutants.never_ends_a_need),
    (checks.p09_questions_are_answered, mutants.refuses_questions_to_a_vlm_that_is_not_loaded),
    (checks.p10_loaded_means_listed, mutants.loads_in_name_only),
    (checks.p11_unloaded_means_gone, mutants.unloads_in_name_only),
    (checks.p12_clip_is_where_it_is_said_to_be, mutants.does_not_ask_the_encoder_where_it_is),
    (drift_checks.drift_is_told, mutants.never_looks_for_strangers),
    (drift_checks.drift_is_told, mutants.takes_its_tenants_for_strangers),
    (drift_checks.drift_is_told, mutants.makes_up_its_mind_too_late),
    (drift_checks.drift_is_told, mutants.overlooks_what_has_no_name),
)


@pytest.mark.parametrize(("check", "alter"), CASES, ids=[check.__name__ for check, _ in CASES])
def test_a_broken_manager_is_noticed(check: Check, alter: Alter) -> None:
    with pytest.raises(AssertionError) as noticed:
        run_state_machine_as_test(machine_for(check, alter), settings=HUNT)
    assert str(noticed.traceback[-1].path).endswith("checks.py"), "something else failed before the check did"


def test_a_manager_without_a_mutex_is_noticed() -> None:
    crowd = Crowd(mutants.has_no_mutex)
    crowd.run()
    with pytest.raises(AssertionError, match="two operations had the GPU at once"):
        checks.check_no_overlap(crowd.spans)


def test_p13_threads_never_meet_inside() -> None:
    crowd = Crowd(lambda _: None)
    crowd.run()
    assert crowd.errors == []
    assert len(crowd.spans) == sum(map(len, WORK)), "every operation touched the GPU's tenants"
    checks.check_no_overlap(crowd.spans)


def test_a_client_whose_operations_changed_places_is_noticed() -> None:
    with pytest.raises(AssertionError, match="agent: 1 ran after 2"):
        checks.check_order([("agent", 2), ("cli", 1), ("agent", 1)])
