"""`singletrack ask`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from singletrack.cli.context import JsonOption, TimeoutOption, client_of
from singletrack.cli.output import answer_text, print_json, print_reasons
from singletrack.cli.waiting import watched, watched_until_first
from singletrack_tasks.errors import InvalidRequest, InvalidSchema, SingletrackError
from singletrack_tasks.payload.files import read_file
from singletrack_tasks.text import shorten

if TYPE_CHECKING:
    from singletrack.answer_stream import AnswerStream
    from singletrack.answers import Answer

_SCHEMA_BYTES_MAX = 1024 * 1024
_SWITCHES = {"true": True, "false": False}
_CUTS = {"max_tokens": "it has as many tokens as it may have", "context": "the model's context is full"}


def ask(
    context: typer.Context,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="The question.")],
    image: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="An image file, or a data: URL; may be repeated, up to 16 times."),
    ] = None,
    schema: Annotated[Path | None, typer.Option(help="A file with the JSON schema that the answer must fit.")] = None,
    think: Annotated[
        str | None,
        typer.Option(help="Whether the model thinks first, or how much: true, false, low, medium or high."),
    ] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Print the answer while it is written.")] = False,
    as_json: JsonOption = False,
    timeout_s: TimeoutOption = 120.0,
) -> None:
    """Ask the VLM a question."""
    if stream and as_json:
        raise InvalidRequest("--stream prints the answer as it comes, --json one object at the end: give one of them")
    json_schema = None if schema is None else _read_schema(schema)
    options = {} if think is None else {"think": _SWITCHES.get(think, think)}
    with client_of(context) as client:
        if stream:
            with client.ask_stream(
                prompt, image or [], schema=json_schema, options=options, timeout_s=timeout_s
            ) as pieces:
                _print_pieces(pieces)
            return
        answer = watched(
            lambda: client.ask(prompt, image or [], schema=json_schema, options=options, timeout_s=timeout_s)
        )
    if as_json:
        print_json(answer.result.dump())
        return
    _print_answer(answer, schema is not None)


def _print_answer(answer: "Answer[Any]", has_value: bool) -> None:
    text = json.dumps(answer.value, ensure_ascii=False, indent=2) if has_value else answer.text.strip()
    typer.echo(answer_text(text))
    _print_cut(answer)
    print_reasons(answer.result.reasons)


def _print_cut(answer: "Answer[Any]") -> None:
    """Say on stderr what cut an answer: stdout has the answer and nothing else."""
    if answer.truncated is not None:
        typer.echo(f"the answer was cut: {_CUTS[answer.truncated]}", err=True)


def _print_pieces(stream: "AnswerStream[Any]") -> None:
    """Print pieces as they come; an answer that begins again does so on a new line."""
    attempt = 0
    try:
        for piece in watched_until_first(stream):
            if attempt and piece.attempt != attempt:
                sys.stdout.write("\n(once more)\n")
            attempt = piece.attempt
            sys.stdout.write(answer_text(piece.text))
            sys.stdout.flush()
    except SingletrackError:
        if attempt:
            # The error is shown below what has come of the answer.
            sys.stdout.write("\n")
        raise
    sys.stdout.write("\n")
    _print_cut(stream.answer)
    print_reasons(stream.answer.result.reasons)


def _read_schema(file: Path) -> Any:
    try:
        return json.loads(read_file(file, _SCHEMA_BYTES_MAX).decode("utf-8"))
    except OSError as error:
        raise InvalidSchema(
            f"cannot read a JSON schema from {shorten(str(file))}: {error.strerror or error}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidSchema(f"cannot read a JSON schema from {shorten(str(file))}: {error}") from error
