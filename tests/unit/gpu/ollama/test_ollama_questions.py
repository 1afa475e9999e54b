"""Questions, and how they end, on a server that has bad days."""

import contextlib
import json
import socket
import threading

import pytest

from singletrack_tasks.errors import (
    AnswerTimeout,
    InvalidImage,
    JobCancelled,
    ModelMissing,
    OllamaFailure,
    OllamaUnreachable,
)
from singletrack_tasks.requests.vlm import VlmOptions
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.ollama.manager import OllamaManager
from tests.unit.gpu.ollama.ollama_script import (
    LAST,
    LISTED,
    Act,
    Handler,
    Script,
    SteppedClock,
    managed,
    says,
    sends,
    streams,
    word,
)
from tests.unit.gpu.vlm_conformance import BUTTON, ENDLESS, PATIENCE_S, Asking, put


class TestAsk:
    def test_a_server_is_not_asked_to_repeat_without_end(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/chat", streams(LAST))
        put(vlm, "What?", json_schema={"type": "string", "maxLength": 10**9})
        (asked,) = script.bodies("/api/chat")
        assert asked["format"] == {"type": "string"}

    def test_the_question_is_in_ollamas_terms(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/chat", streams(LAST))
        options = VlmOptions(temperature=0.0, seed=0, top_k=5, top_p=0.5, max_tokens=9, stop=("end",))
        put(vlm, "What?", images=(b"\x00\xff", b"png"), json_schema=BUTTON, options=options)
        ours = {"temperature": 0.0, "seed": 0, "top_k": 5, "top_p": 0.5, "num_predict": 9, "stop": ["end"]}
        assert script.bodies("/api/chat") == [
            {
                "model": "eye",
                "keep_alive": 61,
                "stream": True,
                "options": {"num_ctx": 4096, **ours},
                "messages": [{"role": "user", "content": "What?", "images": ["AP8=", "cG5n"]}],
                "format": BUTTON,
                "truncate": False,
            }
        ]

    def test_what_was_not_said_is_left_to_the_model(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/chat", streams(LAST))
        put(vlm, "What?")
        (body,) = script.bodies("/api/chat")
        assert body["options"] == {"num_ctx": 4096}
        assert body["messages"] == [{"role": "user", "content": "What?"}]
        assert "format" not in body

    def test_the_answer_has_the_servers_figures_in_seconds(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/chat", streams(word("Grüß"), word(" dich\n"), LAST))
        answer = put(vlm)
        assert answer.text == "Grüß dich\n"
        assert (answer.prompt_tokens, answer.answer_tokens) == (7, 2)
        assert (answer.load_s, answer.generate_s) == (1.5, 0.25)

    def test_figures_may_be_missing(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/chat", streams(word("yes", done=True)))
        answer = put(vlm)
        assert (answer.text, answer.load_s, answer.prompt_tokens) == ("yes", None, None)

    @pytest.mark.parametrize(
        "error",
        [
            "Failed to create new sequence: failed to process inputs: unable to make llava embedding from image\n",
            "failed to decode image: png: invalid format",
            "image: unknown format",
            "illegal base64 data at input byte 0",
        ],
    )
    @pytest.mark.parametrize("in_stream", [True, False])
    def test_an_image_that_the_server_cannot_read(
        self, script: Script, vlm: OllamaManager, error: str, in_stream: bool
    ) -> None:
        act = streams({"error": error}) if in_stream else says({"error": error}, 500)
        script.on("/api/chat", act)
        with pytest.raises(InvalidImage, match="PNG or JPEG") as caught:
            put(vlm, images=(b"x",))
        assert error.strip() in caught.value.message

    @pytest.mark.parametrize(
        ("images", "error"),
        [
            ((), "failed to process inputs: the input cannot be read"),
            ((b"x",), "model runner has unexpectedly stopped"),
            ((b"x",), "image-reader: llama runner process has terminated"),
        ],
    )
    def test_other_errors_are_no_fault_of_an_image(
        self, script: Script, clock: SteppedClock, images: tuple[bytes, ...], error: str
    ) -> None:
        script.on("/api/chat", streams(word("half"), {"error": error}))
        with managed(script.url, clock, "image-reader") as vlm, pytest.raises(OllamaFailure, match=error):
            put(vlm, images=images)

    def test_html_with_an_image_in_it_is_no_word_of_ollama(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/chat", sends(b"<link type='image/png'>", 502))
        with pytest.raises(OllamaFailure):
            put(vlm, images=(b"x",))

    def test_a_model_that_the_server_does_not_have(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/chat", says({"error": 'model "eye" not found, try pulling it first'}, 404))
        with pytest.raises(ModelMissing, match="`ollama pull eye`"):
            put(vlm)

    @pytest.mark.parametrize(
        "act",
        [
            pytest.param(sends(b""), id="nothing"),
            pytest.param(sends(b"<html>It works!</html>"), id="html"),
            pytest.param(streams(), id="empty stream"),
            pytest.param(streams(word("half")), id="no last line"),
            pytest.param(streams(word("a"), ["no", "object"]), id="not an object"),
            pytest.param(streams(word("a"), {"message": "text", "done": True}), id="wrong shape"),
            pytest.param(streams(word("a", done=True, eval_count="many")), id="wrong figure"),
            pytest.param(sends(b'{"message": {"content": "a"}, "done": fal'), id="cut short"),
        ],
    )
    def test_garbage(self, script: Script, vlm: OllamaManager, act: Act) -> None:
        script.on("/api/chat", act)
        with pytest.raises(OllamaFailure):
            put(vlm)

    @pytest.mark.parametrize("end", [Handler.reset, lambda handler: setattr(handler, "close_connection", True)])
    def test_a_connection_lost_in_the_middle(self, script: Script, vlm: OllamaManager, end: Act) -> None:
        def half(handler: Handler) -> None:
            handler.begin_stream(word("half"))
            end(handler)

        script.on("/api/chat", half)
        with pytest.raises(OllamaFailure):
            put(vlm)

    def test_a_connection_lost_before_the_answer(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/chat", Handler.reset)
        with pytest.raises(OllamaUnreachable):
            put(vlm)

    def test_silence_before_the_answer(self, script: Script, clock: SteppedClock) -> None:
        script.on("/api/chat", Handler.wait_for_hangup)
        self._fails_and_hangs_up(script, clock, "in time", 0.05)

    def test_silence_in_the_middle(self, script: Script, clock: SteppedClock) -> None:
        def half(handler: Handler) -> None:
            handler.begin_stream(word("half"))
            handler.wait_for_hangup()

        script.on("/api/chat", half)
        # Long enough for the first word to come, on a machine that is busy too.
        self._fails_and_hangs_up(script, clock, "fell silent", 2.0)

    def test_an_answer_without_an_end_is_broken_off(self, script: Script, clock: SteppedClock) -> None:
        def babble(handler: Handler) -> None:
            handler.begin_stream(word("well"))
            clock.now_s = PATIENCE_S
            handler.send_line(json.dumps(word("well")).encode())
            handler.wait_for_hangup()

        script.on("/api/chat", babble)
        with managed(script.url, clock) as vlm:
            with pytest.raises(AnswerTimeout, match="max_tokens"):
                put(vlm)
            assert script.hung_up.wait(PATIENCE_S)

    def _fails_and_hangs_up(self, script: Script, clock: SteppedClock, why: str, answer_timeout_s: float) -> None:
        with managed(script.url, clock, answer_s=answer_timeout_s) as vlm:
            with pytest.raises(OllamaFailure, match=why):
                put(vlm)
            assert script.hung_up.wait(PATIENCE_S)


class TestCancel:
    def test_before_the_server_has_answered_at_all(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/chat", Handler.wait_for_hangup)
        self._is_cut(script, vlm)

    def test_in_the_middle_of_the_answer(self, script: Script, vlm: OllamaManager) -> None:
        def half(handler: Handler) -> None:
            handler.begin_stream(word("half"))
            handler.wait_for_hangup()

        script.on("/api/chat", half)
        self._is_cut(script, vlm)

    def test_while_the_question_is_being_sent(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as deaf, managed(_address(deaf), SteppedClock()) as vlm:
            asking = Asking(vlm, images=(b"x" * 30_000_000,))
            describing = threading.Thread(target=_describe, args=[deaf.accept()[0]])
            describing.start()
            connection, _ = deaf.accept()
            with connection:
                assert connection.recv(1)  # the question has begun to come, and nobody reads on
                with pytest.raises(JobCancelled):
                    asking.cancel()
        describing.join(PATIENCE_S)

    def test_before_it_is_put(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/chat", Handler.wait_for_hangup)
        cancellation = Cancellation()
        cancellation.cancel()
        with pytest.raises(JobCancelled):
            put(vlm, cancellation=cancellation)

    def test_an_answer_that_came_too_late_to_be_wanted(self, script: Script, vlm: OllamaManager) -> None:
        cancellation = Cancellation()

        def answer_a_cancelled_one(handler: Handler) -> None:
            cancellation.on_cancel(None)  # as if the answer had crossed the cancellation on its way
            cancellation.cancel()
            streams(LAST)(handler)

        script.on("/api/chat", answer_a_cancelled_one)
        with pytest.raises(JobCancelled):
            put(vlm, cancellation=cancellation)

    def test_nobody_else_is_cut(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/chat", Handler.wait_for_hangup, streams(word("yes"), LAST))
        script.on("/api/ps", LISTED)
        assert vlm.listing() is not None
        first = Asking(vlm)
        assert script.busy.wait(PATIENCE_S)
        assert vlm.listing() is not None
        with pytest.raises(JobCancelled):
            first.cancel()
        assert vlm.listing() is not None
        assert put(vlm).text == "yes"

    def test_after_the_end_it_cuts_nothing(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/chat", streams(word("yes"), LAST))
        cancellation = Cancellation()
        put(vlm, cancellation=cancellation)
        cancellation.cancel()
        assert put(vlm).text == "yes"

    def _is_cut(self, script: Script, vlm: OllamaManager) -> None:
        asking = Asking(vlm, ENDLESS)
        assert script.busy.wait(PATIENCE_S)
        with pytest.raises(JobCancelled):
            asking.cancel()
        assert script.hung_up.wait(PATIENCE_S), "the server was not told"


def _describe(connection: socket.socket) -> None:
    """Answer what is asked about the model, as a server that knows nothing of it, until the client hangs up."""
    with connection, contextlib.suppress(ConnectionResetError):
        while connection.recv(65536):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


def _address(server: socket.socket) -> str:
    host, port = server.getsockname()
    return f"{host}:{port}"
