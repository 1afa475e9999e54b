"""One model under several names, which its digest tells to be the same."""

import pytest

from singletrack_tasks.errors import OllamaFailure, OllamaUnreachable
from singletrack_worker.gpu.ollama.manager import OllamaManager
from tests.unit.gpu.ollama.ollama_script import LOADED, MIB, SENT_AWAY, UNLISTED, Act, Handler, Script, says, sends


def lists(**digests: str | None) -> Act:
    """Answer `/api/ps` or `/api/tags` with models of those names and digests."""
    models = [{"name": name, "digest": digest, "size": MIB, "size_vram": MIB} for name, digest in digests.items()]
    return says({"models": models})


def test_another_name_of_our_model_is_ours(script: Script, vlm: OllamaManager) -> None:
    script.on("/api/ps", lists(alias="d1", ear="d2"))
    script.on("/api/tags", lists(ear="d2", alias="d1", eye="d1"))
    for _ in range(3):
        assert vlm.listing() is not None
        assert [other.name for other in vlm.others] == ["ear"]
    assert len(script.bodies("/api/tags")) == 1


def test_what_was_listed_by_our_name_is_known_by_its_digest(script: Script, vlm: OllamaManager) -> None:
    script.on("/api/ps", lists(eye="d1", ear="d2"), lists(alias="d1", ear="d2"), UNLISTED, lists(ear="d2"))
    listed = [vlm.listing() is not None for _ in range(4)]
    assert listed == [True, True, False, False]
    assert {path for path, _ in script.requests} == {"/api/ps"}


@pytest.mark.parametrize("digest", ["", None])
def test_without_digests_the_name_tells(script: Script, vlm: OllamaManager, digest: str | None) -> None:
    script.on("/api/ps", lists(alias=digest), lists(eye=digest, alias=digest))
    assert vlm.listing() is None
    assert vlm.listing() is not None
    assert [other.name for other in vlm.others] == ["alias"]
    assert {path for path, _ in script.requests} == {"/api/ps"}


def test_a_model_that_the_server_does_not_have_has_no_other_name(script: Script, vlm: OllamaManager) -> None:
    script.on("/api/ps", lists(alias="d1"))
    script.on("/api/tags", lists(alias="d1"), lists(alias="d1", eye="d1"))
    assert vlm.listing() is None
    assert vlm.listing() is not None, "it was pulled meanwhile"


def test_a_load_finds_it_under_another_name(script: Script, vlm: OllamaManager) -> None:
    script.on("/api/generate", LOADED)
    script.on("/api/ps", lists(alias="d1"))
    script.on("/api/tags", lists(alias="d1", eye="d1"))
    vlm.load()
    assert [path for path, _ in script.requests] == ["/api/generate", "/api/ps", "/api/tags"]


def test_a_load_asks_anew_what_our_name_stands_for(script: Script, vlm: OllamaManager) -> None:
    script.on("/api/ps", lists(eye="d1"), lists(alias="d2"))
    assert vlm.listing() is not None
    assert vlm.listing() is None
    script.on("/api/generate", LOADED)
    script.on("/api/tags", lists(alias="d2", eye="d2"))
    vlm.load()
    script.on("/api/ps", lists(older="d1"))
    assert vlm.listing() is None


def test_a_load_in_the_usual_case_asks_nothing_more(script: Script, vlm: OllamaManager) -> None:
    script.on("/api/generate", LOADED)
    script.on("/api/ps", lists(eye="d1"))
    vlm.load()
    assert [path for path, _ in script.requests] == ["/api/generate", "/api/ps"]


def test_it_is_sent_away_by_our_name(script: Script, vlm: OllamaManager) -> None:
    script.on("/api/generate", SENT_AWAY)
    script.on("/api/ps", lists(alias="d1"), lists(alias="d1"), lists(ear="d2"))
    script.on("/api/tags", lists(alias="d1", eye="d1"))
    vlm.unload()
    assert [body["model"] for body in script.bodies("/api/generate")] == ["eye"]
    assert len(script.bodies("/api/ps")) == 3


def test_a_model_that_was_pulled_again_is_the_one_that_its_name_stands_for_now(
    script: Script, vlm: OllamaManager
) -> None:
    old, new = ({"name": "eye:latest", "digest": digest, "size": MIB, "size_vram": MIB} for digest in ("d1", "d2"))
    script.on("/api/ps", says({"models": [old, new]}), says({"models": [new]}), says({"models": [old, new]}))
    script.on("/api/tags", lists(eye="d2"))
    for others in (["eye:latest"], [], ["eye:latest"]):
        assert vlm.listing() is not None
        assert [other.name for other in vlm.others] == others


def test_a_name_of_our_model_is_told_by_the_server(script: Script, vlm: OllamaManager) -> None:
    assert vlm.goes_by("library/EYE")
    assert not script.requests
    script.on("/api/tags", lists(eye="d1", alias="d1", ear="d2", nameless=None))
    assert vlm.goes_by("alias:latest")
    assert not vlm.goes_by("ear")
    assert not vlm.goes_by("nameless")
    assert not vlm.goes_by("nobody")
    script.on("/api/tags", lists(alias=None, ear=None))
    assert not vlm.goes_by("alias"), "a server without digests tells nothing"


def test_garbage_for_names_is_reported(script: Script, vlm: OllamaManager) -> None:
    script.on("/api/ps", lists(alias="d1"))
    script.on("/api/tags", sends(b"<html>"), Handler.reset)
    with pytest.raises(OllamaFailure, match="<html>"):
        vlm.listing()
    with pytest.raises(OllamaUnreachable):
        vlm.listing()
