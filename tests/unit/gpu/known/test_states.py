"""The table of the VLM's states: what is in it is allowed, and nothing else."""

from itertools import product

import pytest

from singletrack_tasks.status import ModelState
from singletrack_worker.gpu.known.states import TRANSITIONS, IllegalTransition, VlmLife, mermaid

LISTED = {(before, after) for before, followers in TRANSITIONS.items() for after in followers}
PAIRS = [pair for pair in product(ModelState, ModelState) if pair[0] is not pair[1]]


def life_in(state: ModelState) -> VlmLife:
    life = VlmLife()
    life._state = state
    return life


@pytest.mark.parametrize(("before", "after"), sorted(LISTED))
def test_what_is_listed_is_allowed(before: ModelState, after: ModelState) -> None:
    life = life_in(before)
    life.to(after)
    assert life.state is after


@pytest.mark.parametrize(("before", "after"), [pair for pair in PAIRS if pair not in LISTED])
def test_what_is_not_listed_raises_and_changes_nothing(before: ModelState, after: ModelState) -> None:
    life = life_in(before)
    with pytest.raises(IllegalTransition, match=f"{before} may not become {after}"):
        life.to(after)
    assert life.state is before


@pytest.mark.parametrize("state", ModelState)
def test_staying_is_allowed(state: ModelState) -> None:
    life = life_in(state)
    life.to(state)
    assert life.state is state


def test_every_state_is_reached_and_left() -> None:
    assert set(TRANSITIONS) == set(ModelState)
    reached = {ModelState.UNKNOWN}
    for _ in ModelState:
        reached |= {after for before in reached for after in TRANSITIONS[before]}
    assert reached == set(ModelState)


# A load ends as LOADED or FAILED before anybody looks.
@pytest.mark.parametrize("state", [state for state in ModelState if state is not ModelState.LOADING])
def test_a_look_at_the_server_is_possible_in_every_other_state(state: ModelState) -> None:
    life = life_in(state)
    life.saw(listed=True)
    assert life.state is ModelState.LOADED
    life = life_in(state)
    life.saw(listed=False)
    assert life.state is (ModelState.FAILED if state is ModelState.FAILED else ModelState.UNLOADED)


def test_the_picture_has_every_arrow_of_the_table() -> None:
    lines = mermaid().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert lines[1].strip() == "[*] --> unknown"
    arrows = {tuple(line.strip().split(": ")[0].split(" --> ")) for line in lines[2:]}
    assert arrows == {(str(before), str(after)) for before, after in LISTED}
