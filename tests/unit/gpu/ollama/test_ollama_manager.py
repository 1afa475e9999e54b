"""The life cycle of the model, on a server that has bad days."""

import json
import threading

import pytest

from singletrack_tasks.errors import (
    InvalidConfiguration,
    ModelMissing,
    OllamaFailure,
    OllamaRefusal,
    OllamaUnreachable,
    SingletrackError,
    VlmUnloadFailed,
)
from singletrack_worker.gpu.clock import SystemClock
from singletrack_worker.gpu.ollama import http
from singletrack_worker.gpu.ollama.manager import OTHER_GONE_S, OllamaManager
from singletrack_worker.gpu.tenants import OtherModel, VlmListing
from tests.addresses import SILENT_OLLAMA, SILENT_PORT
from tests.unit.gpu.ollama.ollama_script import (
    LISTED,
    LOADED,
    MIB,
    SENT_AWAY,
    TIMEOUTS,
    UNLISTED,
    Handler,
    Script,
    SteppedClock,
    managed,
    says,
    sends,
)
from tests.unit.gpu.vlm_conformance import PATIENCE_S

EAR = says({"models": [{"name": "ear:latest", "size": MIB, "size_vram": MIB}]})


class TestSettings:
    @pytest.mark.parametrize(
        "url",
        ["", "   ", "http://", "ftp://gpu:11434", "http://gpu:port", "http://gpu:99999", "http://g pu", "gpu?x=1"],
    )
    def test_a_wrong_url_is_refused_with_an_example(self, url: str) -> None:
        with pytest.raises(InvalidConfiguration, match=r"SINGLETRACK_OLLAMA_URL.*http://localhost:11434"):
            OllamaManager(url, "eye", clock=SystemClock(), keep_alive_s=60, timeouts=TIMEOUTS)

    @pytest.mark.parametrize("keep_alive_s", [0, -1, float("inf"), float("nan"), 1e12])
    def test_keeping_the_model_for_ever_or_not_at_all_is_refused(self, keep_alive_s: float) -> None:
        with pytest.raises(InvalidConfiguration, match="keep_alive"):
            OllamaManager("localhost", "eye", clock=SystemClock(), keep_alive_s=keep_alive_s, timeouts=TIMEOUTS)

    def test_a_model_without_a_name_is_refused(self) -> None:
        with pytest.raises(InvalidConfiguration, match="ollama list"):
            OllamaManager("localhost", " ", clock=SystemClock(), keep_alive_s=60, timeouts=TIMEOUTS)

    def test_an_address_without_a_scheme_is_called(self, script: Script, clock: SteppedClock) -> None:
        script.on("/api/version", says({"version": "0.9.3"}))
        with managed(f"127.0.0.1:{script.server_port}", clock) as vlm:
            assert vlm.version() == "0.9.3"

    def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
        self, script: Script, vlm: OllamaManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", SILENT_OLLAMA)
        script.on("/api/ps", UNLISTED)
        assert vlm.listing() is None


class TestListing:
    @pytest.mark.parametrize(
        ("configured", "listed", "same"),
        [
            ("eye", "eye:latest", True),
            ("eye:latest", "eye", True),
            ("eye:latest", "eye:latest", True),
            ("Eye", "eye:latest", True),
            ("eye", "eye:7b", False),
            ("eye:7b", "eye:latest", False),
            ("eye", "eyes:latest", False),
            ("hub:5000/me/eye", "hub:5000/me/eye:latest", True),
            ("library/eye", "eye:latest", True),
            ("Library/Eye:7B", "eye:7b", True),
            ("registry.ollama.ai/library/eye:latest", "eye:latest", True),
            ("https://registry.ollama.ai/library/eye", "eye:latest", True),
            ("eye", "registry.ollama.ai/library/eye:latest", True),
            ("me/eye", "registry.ollama.ai/me/eye:latest", True),
            ("me/eye", "eye:latest", False),
            ("hub:5000/library/eye", "eye:latest", False),
            ("hf.co/me/eye", "me/eye:latest", False),
        ],
    )
    def test_a_name_without_a_tag_is_the_latest(
        self, script: Script, clock: SteppedClock, configured: str, listed: str, same: bool
    ) -> None:
        script.on("/api/ps", says({"models": [{"name": listed, "size": MIB, "size_vram": 0}]}))
        with managed(script.url, clock, configured) as vlm:
            assert (vlm.listing() is not None) is same

    def test_figures_are_mib(self, script: Script, vlm: OllamaManager) -> None:
        others = [{"name": "other:latest", "size": 9, "size_vram": 9}]
        own = {"name": "eye:latest", "size": 3 * MIB + MIB // 2 + 1, "size_vram": 2 * MIB}
        script.on("/api/ps", says({"models": [*others, own]}))
        assert vlm.listing() == VlmListing(size_mb=4, vram_mb=2)

    @pytest.mark.parametrize(
        ("configured", "listed", "others"),
        [
            ("eye", ["eye:latest"], []),
            ("Eye:latest", ["eye"], []),
            ("eye", ["eye:7b", "eye:latest", "ear:latest"], ["eye:7b", "ear:latest"]),
            ("eye:7b", ["eye:latest"], ["eye:latest"]),
            ("hub:5000/me/eye", ["hub:5000/me/eye:latest", "eye:latest"], ["eye:latest"]),
        ],
    )
    def test_others_are_those_of_another_name_or_tag(
        self, script: Script, clock: SteppedClock, configured: str, listed: list[str], others: list[str]
    ) -> None:
        script.on("/api/ps", says({"models": [{"name": name, "size": MIB, "size_vram": 0} for name in listed]}))
        with managed(script.url, clock, configured) as vlm:
            vlm.listing()
            assert [other.name for other in vlm.others] == others
        assert len(script.requests) == 1, "one answer tells both"

    def test_others_are_of_the_last_answer(self, script: Script, vlm: OllamaManager) -> None:
        theirs = {"name": "ear:latest", "size": 3 * MIB, "size_vram": 2 * MIB}
        script.on("/api/ps", says({"models": [theirs]}), Handler.reset, UNLISTED)
        vlm.listing()
        with pytest.raises(OllamaUnreachable):
            vlm.listing()
        assert vlm.others == (OtherModel("ear:latest", size_mb=3, vram_mb=2),)
        vlm.listing()
        assert not vlm.others

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>It works!</html>",
            b'{"models": [{"name": "eye", "size": 3',
            b"[]",
            b"null",
            b'{"models": null}',
            b'{"models": {}}',
            b'{"models": ["eye"]}',
            b'{"models": [{"name": "eye:latest", "size": "many", "size_vram": 0}]}',
            b'{"models": [{"name": "eye:latest", "size": -1, "size_vram": 0}]}',
            b'{"models": [{"name": "eye:latest", "size_vram": 0}]}',
            b"\xff\xfe\x00",
        ],
    )
    def test_garbage_is_reported_by_its_first_bytes(self, script: Script, vlm: OllamaManager, body: bytes) -> None:
        script.on("/api/ps", sends(body))
        with pytest.raises(OllamaFailure) as caught:
            vlm.listing()
        assert repr(body[:200]) in caught.value.message

    def test_much_garbage_is_cut_short(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/ps", sends(b"x" * 100_000))
        with pytest.raises(OllamaFailure) as caught:
            vlm.listing()
        assert len(caught.value.message) < 1000

    @pytest.mark.parametrize(
        ("status", "error"), [(404, OllamaRefusal), (410, OllamaRefusal), (500, OllamaFailure), (502, OllamaFailure)]
    )
    def test_another_kind_of_server_is_told_by_its_answer(
        self, script: Script, vlm: OllamaManager, status: int, error: type[SingletrackError]
    ) -> None:
        script.on("/api/ps", sends(b"<h1>image server</h1>", status))
        with pytest.raises(error, match=rf"HTTP {status}.*image server.*SINGLETRACK_OLLAMA_URL"):
            vlm.listing()

    def test_a_body_that_is_cut_short(self, script: Script, vlm: OllamaManager) -> None:
        def half(handler: Handler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", "100")
            handler.end_headers()
            handler.wfile.write(b'{"models":')
            handler.close_connection = True

        script.on("/api/ps", half)
        with pytest.raises(OllamaFailure, match="broke off"):
            vlm.listing()

    def test_nobody_at_the_address(self, clock: SteppedClock) -> None:
        with managed(f"http://user:secret@127.0.0.1:{SILENT_PORT}", clock) as vlm:
            with pytest.raises(
                OllamaUnreachable, match=rf":{SILENT_PORT}.*ollama serve.*SINGLETRACK_OLLAMA_URL"
            ) as caught:
                vlm.listing()
            assert "secret" not in caught.value.message + json.dumps(caught.value.details)

    def test_a_server_that_says_nothing(
        self, script: Script, vlm: OllamaManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(http, "REQUEST_TIMEOUT_S", 0.05)
        script.on("/api/ps", Handler.wait_for_hangup)
        with pytest.raises(OllamaUnreachable):
            vlm.listing()

    def test_a_connection_that_is_reset(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/ps", Handler.reset)
        with pytest.raises(OllamaUnreachable):
            vlm.listing()


class TestLoad:
    def test_it_returns_when_the_model_is_listed(self, script: Script, vlm: OllamaManager, clock: SteppedClock) -> None:
        script.on("/api/generate", LOADED)
        script.on("/api/ps", UNLISTED, UNLISTED, LISTED)
        vlm.load()
        assert len(script.bodies("/api/ps")) == 3
        assert clock.pauses_s == [0.01, 0.02]

    def test_it_asks_without_a_prompt_for_whole_seconds(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/generate", LOADED)
        script.on("/api/ps", LISTED)
        vlm.load()
        assert script.bodies("/api/generate") == [
            {"model": "eye", "keep_alive": 61, "stream": False, "options": {"num_ctx": 4096}}
        ]

    def test_a_model_that_never_shows_up(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/generate", LOADED)
        script.on("/api/ps", UNLISTED)
        with pytest.raises(OllamaFailure, match="ollama ps"):
            vlm.load()

    def test_a_model_that_the_server_does_not_have(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/generate", says({"error": "model 'eye' not found"}, 404))
        with pytest.raises(ModelMissing, match="`ollama pull eye`"):
            vlm.load()

    def test_a_server_that_cannot_says_why(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/generate", says({"error": "model requires more system memory"}, 500))
        with pytest.raises(OllamaFailure, match="requires more system memory"):
            vlm.load()

    @pytest.mark.parametrize("body", [b"", b"{}", b'{"done": "perhaps"}', b"<html>", b'{"done": false}'])
    def test_garbage(self, script: Script, vlm: OllamaManager, body: bytes) -> None:
        script.on("/api/generate", sends(body))
        with pytest.raises(OllamaFailure):
            vlm.load()

    def test_a_load_that_takes_too_long(self, script: Script, clock: SteppedClock) -> None:
        script.on("/api/generate", Handler.wait_for_hangup)
        with managed(script.url, clock, load_s=0.05) as vlm, pytest.raises(OllamaFailure, match="in time"):
            vlm.load()


class TestUnload:
    def test_it_returns_when_the_model_is_no_longer_listed(
        self, script: Script, vlm: OllamaManager, clock: SteppedClock
    ) -> None:
        script.on("/api/generate", SENT_AWAY)
        script.on("/api/ps", LISTED, LISTED, LISTED, UNLISTED)
        vlm.unload()
        assert [body["keep_alive"] for body in script.bodies("/api/generate")] == [0]
        assert clock.pauses_s == [0.01, 0.01, 0.02, 0.04]

    def test_it_asks_again_since_a_loading_model_does_not_hear(
        self, script: Script, vlm: OllamaManager, clock: SteppedClock
    ) -> None:
        def listed_until_asked_thrice(handler: Handler) -> None:
            asked = len(script.bodies("/api/generate"))
            (UNLISTED if asked >= 3 else LISTED)(handler)

        script.on("/api/generate", SENT_AWAY)
        script.on("/api/ps", listed_until_asked_thrice)
        vlm.unload()
        assert clock.now_s == pytest.approx(2.01)

    def test_a_model_that_stays_is_an_error_in_time(
        self, script: Script, vlm: OllamaManager, clock: SteppedClock
    ) -> None:
        script.on("/api/generate", SENT_AWAY)
        script.on("/api/ps", LISTED)
        with pytest.raises(VlmUnloadFailed, match=r"30 s.*ollama ps"):
            vlm.unload()
        assert clock.now_s == pytest.approx(30.0)
        assert max(clock.pauses_s) == 0.25

    def test_a_model_that_was_deleted_while_it_was_loaded(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/generate", says({"error": "model 'eye' not found"}, 404))
        script.on("/api/ps", LISTED)
        with pytest.raises(VlmUnloadFailed, match="restart"):
            vlm.unload()

    def test_a_model_that_the_server_does_not_have_is_unloaded(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/generate", says({"error": "model 'eye' not found"}, 404))
        script.on("/api/ps", UNLISTED)
        vlm.unload()
        assert len(script.requests) == 3

    def test_it_waits_for_a_load_of_ours(self, script: Script, vlm: OllamaManager) -> None:
        done = threading.Event()
        order: list[str] = []

        def slow_load(handler: Handler) -> None:
            script.busy.set()
            assert done.wait(PATIENCE_S)
            order.append("loaded")
            LOADED(handler)

        def send_away(handler: Handler) -> None:
            order.append("sent away")
            script.on("/api/ps", UNLISTED)
            SENT_AWAY(handler)

        script.on("/api/generate", slow_load, send_away)
        script.on("/api/ps", LISTED)
        loading = threading.Thread(target=vlm.load)
        loading.start()
        assert script.busy.wait(PATIENCE_S)
        unloading = threading.Thread(target=vlm.unload)
        unloading.start()
        done.set()
        loading.join(PATIENCE_S)
        unloading.join(PATIENCE_S)
        assert order == ["loaded", "sent away"]

    def test_the_list_is_not_asked_for_in_the_moment_the_model_goes(
        self, script: Script, vlm: OllamaManager, clock: SteppedClock
    ) -> None:
        looks_s: list[float] = []

        def look(handler: Handler) -> None:
            looks_s.append(clock.now_s)
            UNLISTED(handler)

        script.on("/api/generate", SENT_AWAY)
        script.on("/api/ps", look)
        vlm.unload()
        assert looks_s == [0.01]


class TestUnloadOther:
    def test_it_returns_when_the_other_model_is_no_longer_listed(
        self, script: Script, vlm: OllamaManager, clock: SteppedClock
    ) -> None:
        script.on("/api/generate", SENT_AWAY)
        script.on("/api/ps", EAR, EAR, LISTED)
        vlm.unload_other("ear:latest")
        (body,) = script.bodies("/api/generate")
        assert (body["model"], body["keep_alive"]) == ("ear:latest", 0)
        assert clock.pauses_s == [0.01, 0.01, 0.02]

    def test_one_that_answers_somebody_is_not_waited_for_long(
        self, script: Script, vlm: OllamaManager, clock: SteppedClock
    ) -> None:
        script.on("/api/generate", SENT_AWAY)
        script.on("/api/ps", EAR)
        with pytest.raises(VlmUnloadFailed, match=r"ear:latest is still loaded .* it may be answering"):
            vlm.unload_other("ear:latest")
        assert clock.now_s == pytest.approx(OTHER_GONE_S)

    def test_one_that_was_deleted_while_it_was_loaded(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/generate", says({"error": "model 'ear' not found"}, 404))
        script.on("/api/ps", EAR)
        with pytest.raises(VlmUnloadFailed, match="ear:latest is still loaded"):
            vlm.unload_other("ear:latest")

    def test_nobody_at_the_address(self, clock: SteppedClock) -> None:
        with managed(SILENT_OLLAMA, clock) as vlm, pytest.raises(OllamaUnreachable):
            vlm.unload_other("ear:latest")


class TestServer:
    def test_whether_the_model_is_there(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/show", says({"capabilities": ["completion"]}), says({"error": "model 'eye' not found"}, 404))
        assert vlm.exists()
        assert not vlm.exists()

    @pytest.mark.parametrize(
        ("answer", "sees"),
        [({"capabilities": ["completion", "vision"]}, True), ({"capabilities": ["completion"]}, False), ({}, None)],
    )
    def test_whether_it_takes_images(
        self, script: Script, vlm: OllamaManager, answer: dict[str, object], sees: bool | None
    ) -> None:
        script.on("/api/show", says(answer))
        assert vlm.sees_images() is sees

    def test_it_can_be_closed_twice_and_used_again(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/ps", LISTED)
        vlm.close()
        vlm.close()
        assert vlm.listing() is not None
