"""The properties P1 to P13 of the requirements: each for every sequence of operations that Hypothesis thinks of."""

from hypothesis.stateful import run_state_machine_as_test

from tests.property import checks, drift_checks
from tests.property.machine import machine_for


def test_p01_autopilot_unloads_the_vlm() -> None:
    run_state_machine_as_test(machine_for(checks.p01_autopilot_unloads))


def test_p02_recording_loads_the_vlm() -> None:
    run_state_machine_as_test(machine_for(checks.p02_recording_loads))


def test_p03_clip_on_the_gpu_in_autopilot() -> None:
    run_state_machine_as_test(machine_for(checks.p03_autopilot_has_clip_on_the_gpu))


def test_p04_unloading_frees_memory() -> None:
    run_state_machine_as_test(machine_for(checks.p04_unloading_frees_memory))


def test_p05_status_consistency() -> None:
    run_state_machine_as_test(machine_for(checks.p05_statuses_are_whole))


def test_p06_clip_leaves_before_a_load() -> None:
    run_state_machine_as_test(machine_for(checks.p06_clip_leaves_before_a_load))


def test_p07_embedding_consistency() -> None:
    run_state_machine_as_test(machine_for(checks.p07_embeddings_are_consistent))


def test_p08_idle_timeout() -> None:
    run_state_machine_as_test(machine_for(checks.p08_idle_vlm_is_unloaded))


def test_p09_questions_are_answered() -> None:
    run_state_machine_as_test(machine_for(checks.p09_questions_are_answered))


def test_p10_loaded_means_listed() -> None:
    run_state_machine_as_test(machine_for(checks.p10_loaded_means_listed))


def test_p11_unloaded_means_gone() -> None:
    run_state_machine_as_test(machine_for(checks.p11_unloaded_means_gone))


def test_p12_clip_device() -> None:
    run_state_machine_as_test(machine_for(checks.p12_clip_is_where_it_is_said_to_be))


def test_p13_one_at_a_time_in_order() -> None:
    run_state_machine_as_test(machine_for(checks.p13_one_at_a_time_in_order))


def test_drift_is_told_and_nothing_else_is() -> None:
    run_state_machine_as_test(machine_for(drift_checks.drift_is_told))
