"""States of real screenshots by a real worker: the same on either device, whatever moved in between."""

import json

import numpy as np
import pytest

from singletrack import Client
from singletrack.agent.fusion.engine import FusionEngine
from singletrack.agent.fusion.state_vector import StateVector
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.element import Element, Role
from singletrack.agent.targets.geometry import Box
from singletrack_ops.demo.samples import samples_folder
from tests.integration.worker_tools import forget_embeddings

pytestmark = pytest.mark.ollama

PAGES = ("files", "invoice", "orders", "settings")
# What P7 allows CLIP's two copies.
AGREEMENT = 1e-4
ROLES = {"input": Role.FIELD, "menu": Role.MENU_ITEM, "slider": None, "toggle": Role.CHECKBOX}


def state_of(engine: FusionEngine, page: str) -> StateVector:
    elements = [
        Element(Box(*one["box"]), one["label"], ROLES[one["role"]] if one["role"] in ROLES else Role(one["role"]))
        for one in json.loads((samples_folder() / f"{page}.json").read_text(encoding="utf-8"))["elements"]
    ]
    screen = Screenshot.of(samples_folder() / f"{page}.png", title=f"{page} - Desk")
    return engine.state_of(screen, elements, elements)


def all_states(engine: FusionEngine, client: Client, redis_url: str) -> list[StateVector]:
    """Embedded anew: the cache would give the same answer whatever the device."""
    states = [state_of(engine, page) for page in PAGES]
    forget_embeddings(redis_url, client.track)
    return states


def test_a_screen_has_the_same_state_on_either_device(client: Client, redis_url: str) -> None:
    engine = FusionEngine(client)
    devices, rounds = [], []
    for mode in ("RECORDING", "AUTOPILOT", "RECORDING"):
        client.set_mode(mode)
        devices.append(client.clip_device())
        rounds.append(all_states(engine, client, redis_url))
    assert devices == ["cpu", "cuda:0", "cpu"]
    for before, above, after in zip(*rounds, strict=True):
        np.testing.assert_array_equal(before.vector, after.vector)
        assert 1 - before.similarity(above) < AGREEMENT
        assert before.missing == ()


def test_a_known_screen_is_found_after_a_migration(client: Client, redis_url: str) -> None:
    engine = FusionEngine(client)
    client.set_mode("RECORDING")
    for page, state in zip(PAGES, all_states(engine, client, redis_url), strict=True):
        engine.remember(page, state)
    client.set_mode("AUTOPILOT")
    for page, state in zip(PAGES, all_states(engine, client, redis_url), strict=True):
        found = engine.find_similar(state, k=4)
        assert found[0][0] == page
        assert found[0][1] - found[1][1] > 10 * AGREEMENT
