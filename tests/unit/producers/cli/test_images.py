"""Images on the command line: files, and `data:` URLs as they are."""

import base64
import io
from pathlib import Path

from tests.unit.producers.cli.shell import Shell
from tests.unit.producers.sample_images import noise, png


def url() -> str:
    """A URL that does not survive as a path, which has no two slashes beside each other."""
    for seed in range(100):
        buffer = io.BytesIO()
        noise(seed).save(buffer, "PNG")
        body = base64.b64encode(buffer.getvalue()).decode()
        if "//" in body:
            return f"data:image/png;base64,{body}"
    raise AssertionError("no picture has two slashes beside each other")


def test_a_data_url_is_taken_as_it_is(shell: Shell, tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(png())
    assert shell("ask", "sizes", "--image", url()).stdout == "sizes[(32, 24)]\n"
    shown = shell("embed", "--image", url(), "--image", str(image)).stdout
    assert "data URL" in shown
    assert "a.png" in shown


def test_a_text_that_was_cut_is_told(shell: Shell) -> None:
    long = "word " * 76
    shown = shell("embed", "--text", "a", "--text", long)
    assert "text 2 is longer than CLIP reads" in shown.stderr
    assert "text 1" not in shown.stderr
    assert shell.json("embed", "--text", long, "--text", "a")["truncated"] == [True, False]


def test_nothing_that_was_given_is_shown_at_length(shell: Shell) -> None:
    long = "x" * 45_000
    for command in (
        ["ask", "what?", "--image", long],
        ["ask", "what?", "--image", f"data:image/png;base64,{long}"],
        ["ask", "what?", "--image", f"data:image/png;{long}"],
        ["ask", "what?", "--schema", long],
        ["embed", "--image", long],
        ["embed", "--text", "a", "--out", long],
        ["record", "--file", long],
        ["record", "--out", long],
        ["dead", "show", long],
        ["events", "--since", long],
    ):
        error = shell(*command, status=2).stderr
        assert error.strip(), command
        assert error.count("x") < 220, command
