"""What the server says against a request, and what becomes of it: which error, and what to do."""

import json
from collections.abc import Callable, Iterator

import pytest

from singletrack_tasks.errors import (
    ImagesUnsupported,
    InvalidImage,
    InvalidRequest,
    InvalidSchema,
    ModelMissing,
    OllamaFailure,
    OllamaRefusal,
    OllamaUnreachable,
    PermanentError,
    PromptTooLong,
    SingletrackError,
)
from singletrack_worker.gpu.ollama.manager import OllamaManager
from singletrack_worker.gpu.out_of_memory import is_out_of_memory
from tests.addresses import SILENT_OLLAMA
from tests.unit.gpu.ollama.ollama_script import Act, Handler, Script, SteppedClock, managed, says, sends, streams, word
from tests.unit.gpu.vlm_conformance import BUTTON, put

TOO_LONG = {
    "code": 400,
    "message": "the request exceeds the available context size, try increasing it",
    "type": "exceed_context_size_error",
    "n_prompt_tokens": 95123,
    "n_ctx": 4096,
}
SECRET = "my password is hunter2 and my PIN 4711"


def answer_from(status: int, **headers: str) -> Act:
    def act(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return act


@pytest.mark.parametrize(
    ("status", "said", "error", "advice"),
    [
        (400, TOO_LONG, PromptTooLong, "95,123 tokens.*4,096 tokens.*SINGLETRACK_VLM_NUM_CTX"),
        (
            400,
            "request (95123 tokens) exceeds the available context size (4096 tokens)",
            PromptTooLong,
            "95,123.*4,096",
        ),
        (
            500,
            "the input length exceeds the context length",
            PromptTooLong,
            "context of 4,096.*SINGLETRACK_VLM_NUM_CTX",
        ),
        (400, "prompt too long; exceeded max context length by 17 tokens", PromptTooLong, "SINGLETRACK_VLM_NUM_CTX"),
        (400, '"eye" does not support thinking', InvalidRequest, "Leave the option `think` out"),
        (400, "json: cannot unmarshal string into Go struct field ChatRequest.think", InvalidRequest, "`think`"),
        (500, "this model does not support images", ImagesUnsupported, "SINGLETRACK_VLM_MODEL"),
        (500, "image input is not supported - hint: provide the mmproj", ImagesUnsupported, "`vision`"),
        (400, "invalid image input", InvalidImage, "PNG or JPEG"),
        (500, "invalid JSON schema in format", InvalidSchema, "simpler"),
        (500, "Failed to create new sequence: unable to create sampling context", InvalidSchema, "simpler"),
        (400, {"message": "no such option", "code": 400}, OllamaRefusal, "no such option.*change the request"),
        (422, "unprocessable", OllamaRefusal, "change the request"),
        (413, "too large", OllamaRefusal, "HTTP 413"),
        (404, "model 'eye' not found", ModelMissing, "`ollama pull eye`"),
        (401, "unauthorized", OllamaRefusal, "https://USER:PASSWORD@HOST"),
        (404, {"message": "File Not Found", "code": 404}, OllamaRefusal, "Is it an Ollama server.*OLLAMA_URL"),
        (404, {"message": "Invalid URL (POST /api/chat)"}, OllamaRefusal, "Is it an Ollama server.*OLLAMA_URL"),
        (404, "pull model manifest: file does not exist", ModelMissing, "`ollama pull eye`"),
        (403, "forbidden", OllamaRefusal, "SINGLETRACK_OLLAMA_URL"),
        (403, "this model requires a subscription: https://ollama.com/upgrade", OllamaRefusal, "`ollama signin`"),
        (429, "too many requests", OllamaFailure, "HTTP 429"),
        (503, "server busy, please try again", OllamaFailure, "HTTP 503: server busy"),
        (500, {"unknown": True}, OllamaFailure, "HTTP 500"),
    ],
)
def test_what_the_server_says_is_an_error_of_ours_with_its_advice(
    script: Script, vlm: OllamaManager, status: int, said: object, error: type[SingletrackError], advice: str
) -> None:
    script.on("/api/chat", says({"error": said}, status))
    with pytest.raises(SingletrackError, match=advice) as caught:
        put(vlm, images=(b"x",), json_schema=BUTTON)
    assert type(caught.value) is error
    assert caught.value.details["status"] == status


def test_both_counts_of_a_prompt_that_is_too_long_are_told(script: Script, vlm: OllamaManager) -> None:
    script.on("/api/chat", streams(word("half"), {"error": TOO_LONG}))
    with pytest.raises(PromptTooLong) as caught:
        put(vlm)
    assert (caught.value.details["prompt_tokens"], caught.value.details["context_tokens"]) == (95123, 4096)


def test_a_server_that_has_to_sign_in_says_so(script: Script, vlm: OllamaManager) -> None:
    script.on("/api/chat", says({"error": "unauthorized", "signin_url": "https://ollama.com/connect?key=4711"}, 401))
    with pytest.raises(OllamaRefusal, match="`ollama signin`") as caught:
        put(vlm)
    assert "4711" not in repr(caught.value.args)


def test_a_host_that_ollama_does_not_know_is_no_missing_password(script: Script, vlm: OllamaManager) -> None:
    script.on("/api/ps", answer_from(403))
    with pytest.raises(OllamaRefusal, match="localhost or the IP address"):
        vlm.listing()


@pytest.mark.parametrize("status", [408, 425, 429, 502])
def test_a_gateway_that_asks_to_come_again_is_asked_again(script: Script, vlm: OllamaManager, status: int) -> None:
    script.on("/api/ps", sends(b"<h1>Too Many Requests</h1>", status))
    with pytest.raises(OllamaFailure):
        vlm.listing()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_says_where_to(script: Script, vlm: OllamaManager, status: int) -> None:
    moved = answer_from(status, Location="https://me:hunter2@gpu-box/ollama/api/ps?token=hunter2")
    for path, act in (("/api/ps", vlm.listing), ("/api/chat", lambda: put(vlm))):
        script.on(path, moved)
        with pytest.raises(OllamaRefusal, match=r"redirects to https://gpu-box/ollama/api/ps \(") as caught:
            act()
        assert "hunter2" not in repr(caught.value.args)


def test_a_password_of_the_address_is_sent_and_never_shown(script: Script, clock: SteppedClock) -> None:
    script.on("/api/ps", answer_from(401))
    url = script.url.replace("//", "//me:hunter2@")
    refused = pytest.raises(OllamaRefusal, match="does not accept the user and password")
    with managed(url, clock) as vlm, refused as caught:
        vlm.listing()
    assert "hunter2" not in repr(caught.value.args)


@pytest.fixture
def behind_proxy(script: Script, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[OllamaManager]:
    """A manager of a server that is asked through a proxy, which the script plays."""
    monkeypatch.setenv("HTTP_PROXY", script.url.replace("//", "//me:hunter2@"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with managed("http://gpu-box.invalid:11434", clock) as vlm:
        yield vlm


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (answer_from(502), OllamaFailure),
        (answer_from(403), OllamaRefusal),
        (answer_from(407), OllamaRefusal),
        (sends(b"<h1>This site is blocked</h1>"), OllamaFailure),
        (Handler.reset, OllamaUnreachable),
    ],
)
def test_a_proxy_in_the_way_is_named(
    script: Script, behind_proxy: OllamaManager, act: Act, error: type[SingletrackError]
) -> None:
    script.on("http://gpu-box.invalid:11434/api/ps", act)
    with pytest.raises(error, match=rf"proxy {script.url}.*NO_PROXY") as caught:
        behind_proxy.listing()
    assert "hunter2" not in repr(caught.value.args)


def test_a_server_that_speaks_no_tls(script: Script, clock: SteppedClock) -> None:
    with managed(script.url.replace("http:", "https:"), clock) as vlm, pytest.raises(OllamaRefusal, match="http://"):
        vlm.listing()


@pytest.mark.parametrize(
    "act",
    [
        says({"error": f"template: cannot render {SECRET}!"}, 500),
        says({"error": {"message": f"Failed to parse input at pos 0: {SECRET}"}}, 400),
        sends(SECRET.encode(), 502),
        sends(SECRET.encode(), 404),
        sends(SECRET.encode()),
        streams(word(SECRET), {"error": f"cannot go on after {json.dumps(SECRET)}"}),
        streams(word(SECRET[:20]), word(SECRET[20:]), {"error": SECRET}),
        streams(word(SECRET), {"message": {"content": [SECRET]}}),
        streams(word(SECRET), {"done": SECRET}),
        streams(word(SECRET)),
        sends(json.dumps(word(SECRET))[:-9].encode()),
    ],
)
def test_no_error_quotes_a_question_or_an_answer(script: Script, vlm: OllamaManager, act: Act) -> None:
    script.on("/api/chat", act)
    with pytest.raises(SingletrackError) as caught:
        put(vlm, f"Read this aloud:\n\n{SECRET}")
    for part in ("hunter2", "4711", "my password"):
        assert part not in repr(caught.value.args)
    assert len(repr(caught.value.args)) < 2000
    assert caught.value.__suppress_context__ or caught.value.__cause__ is None


def test_no_error_quotes_an_image_or_a_schema(script: Script, vlm: OllamaManager) -> None:
    image = "iVBORw0KGgoAAAANSUhEUgAAAoAAAAHgCAIAAAC6s0uzAAAgAElEQVR4nOzdeXxU5b0/8M9zZp9M"
    schema = {"type": "object", "properties": {"hunter2-or-4711-is-my-pin": {"type": "string"}}}
    said = f"cannot use {image} nor " + json.dumps(schema).replace('"', '\\"')
    script.on("/api/chat", says({"error": said}, 500))
    with pytest.raises(SingletrackError) as caught:
        put(vlm, images=(b"x",), json_schema=schema)
    assert "SUhEUgAA" not in repr(caught.value.args)
    assert "hunter2" not in repr(caught.value.args)


def test_words_without_end_are_cut(script: Script, vlm: OllamaManager) -> None:
    for act in (says({"error": "no " * 100_000}, 500), sends(b"no " * 100_000, 500)):
        script.on("/api/ps", act)
        with pytest.raises(OllamaFailure) as caught:
            vlm.listing()
        assert len(repr(caught.value.args)) < 2000


def test_numbers_without_end_are_none_of_ollamas(script: Script, vlm: OllamaManager) -> None:
    script.on("/api/ps", says({"models": [{"name": "eye", "size": 10**400, "size_vram": 1}]}))
    script.on("/api/chat", streams(word("yes", done=True, load_duration=10**400)))
    for act in (vlm.listing, lambda: put(vlm)):
        with pytest.raises(OllamaFailure, match="not one that Ollama gives"):
            act()


def test_memory_that_ran_out_is_known_however_long_the_words(script: Script, vlm: OllamaManager) -> None:
    script.on("/api/chat", says({"error": {"message": "cudaMalloc failed: out of memory"}}, 500))
    with pytest.raises(OllamaFailure) as caught:
        put(vlm)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize("act", [lambda vlm: vlm.load(), put])
def test_nobody_at_the_address_stays_worth_another_try(
    clock: SteppedClock, act: Callable[[OllamaManager], object]
) -> None:
    with managed(SILENT_OLLAMA, clock) as vlm, pytest.raises(OllamaUnreachable) as caught:
        act(vlm)
    assert not isinstance(caught.value, PermanentError)
