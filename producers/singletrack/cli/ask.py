"""`singletrack ask`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from singletrack.cli.context import JsonOption, TimeoutOption, client_of
from singletrack.cli.output import console, print_json, print_reasons
from singletrack_tasks.errors import InvalidSchema


def ask(
    context: typer.Context,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="The question.")],
    image: Annotated[list[Path] | None, typer.Option(help="An image file; may be given up to 16 times.")] = None,
    schema: Annotated[Path | None, typer.Option(help="A file with the JSON schema that the answer has to fit.")] = None,
    as_json: JsonOption = False,
    timeout_s: TimeoutOption = 120.0,
) -> None:
    """Put a question to the VLM."""
    json_schema = None if schema is None else _read_schema(schema)
    with client_of(context) as client:
        answer = client.ask(prompt, image or [], schema=json_schema, timeout_s=timeout_s)
    if as_json:
        print_json(answer.result.dump())
        return
    text = answer.text.strip() if schema is None else json.dumps(answer.value, ensure_ascii=False, indent=2)
    console().print(text, markup=False)
    print_reasons(answer.result.reasons)


def _read_schema(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSchema(f"cannot read a JSON schema from {file}: {error.strerror or error}") from error
    except ValueError as error:
        raise InvalidSchema(f"cannot read a JSON schema from {file}: {error}") from error
