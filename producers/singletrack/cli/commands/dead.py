"""`singletrack dead`: jobs that were put aside instead of being run (again)."""

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from singletrack.cli.context import JsonOption, TimeoutOption, client_of
from singletrack.cli.output import clock_time, console, print_json, short_id
from singletrack_tasks.dead_letter import DeadLetter
from singletrack_tasks.errors import InvalidRequest

_REASON_CHARS = 60

LetterArgument = Annotated[str, typer.Argument(metavar="ID", help="The letter's id, or its job's id.")]

dead = typer.Typer(no_args_is_help=True, help="Dead letters: jobs that were put aside instead of being run (again).")


@dead.command("list")
def list_letters(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the dead letters, oldest first."""
    with client_of(context) as client:
        entries = client.dead_letters()
    if as_json:
        print_json([_facts(*entry) for entry in entries])
    elif entries:
        console().print(_table(entries))
    else:
        console().print("there are no dead letters")


@dead.command()
def show(context: typer.Context, letter_id: LetterArgument, as_json: JsonOption = False) -> None:
    """Show a dead letter and its message."""
    with client_of(context) as client:
        entry_id, letter = client.dead_letter(letter_id)
    if as_json:
        print_json(_facts(entry_id, letter))
        return
    table = Table(show_header=False)
    for name, value in _rows(entry_id, letter).items():
        table.add_row(name, _plain(value))
    console().print(table)
    console().print(_message(letter))


@dead.command()
def retry(
    context: typer.Context,
    letter_id: LetterArgument,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the result, and print it as JSON.")] = False,
    timeout_s: TimeoutOption = 120.0,
) -> None:
    """Send a dead letter's request again, under its job's id, and remove the letter."""
    with client_of(context) as client:
        job = client.retry_dead(letter_id, timeout_s=timeout_s)
        if wait:
            print_json(job.result().dump())
        else:
            console().print(f"the job {job.id} is on the queue again", markup=False)


@dead.command()
def drop(
    context: typer.Context,
    letter_id: Annotated[str | None, typer.Argument(metavar="ID", help="The letter's id, or its job's id.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Drop all letters.")] = False,
) -> None:
    """Remove a dead letter for good."""
    if (letter_id is None) is not everything:
        raise InvalidRequest("give the id of a dead letter, or --all")
    with client_of(context) as client:
        if letter_id is None:
            console().print(f"dropped {client.drop_all_dead()}")
        else:
            client.drop_dead(letter_id)


def _facts(entry_id: str, letter: DeadLetter) -> dict[str, Any]:
    return {"id": entry_id, **letter.dump()}


def _table(entries: list[tuple[str, DeadLetter]]) -> Table:
    table = Table("id", "when", "job", "task", "starts", "reason")
    # An id is copied into the next command: it must not be broken.
    table.columns[0].no_wrap = True
    for entry_id, letter in entries:
        when, job = clock_time(letter.at_unix_s), short_id(letter.job_id or "")
        cells = (entry_id, when, job, letter.task or "", str(letter.starts), _short_reason(letter))
        table.add_row(*(_plain(cell) for cell in cells))
    return table


def _short_reason(letter: DeadLetter) -> str:
    reason = f"{letter.code}: {' '.join(letter.reason.split())}"
    return reason if len(reason) <= _REASON_CHARS else f"{reason[:_REASON_CHARS]}…"


def _rows(entry_id: str, letter: DeadLetter) -> dict[str, str]:
    return {
        "id": entry_id,
        "when": clock_time(letter.at_unix_s),
        "job": letter.job_id or "unknown",
        "task": letter.task or "unknown",
        "starts": str(letter.starts),
        "host": letter.host,
        "reason": f"{letter.code}: {letter.reason}",
    }


def _message(letter: DeadLetter) -> Text:
    return _plain(letter.raw().decode("utf-8", "backslashreplace") + (" ... (cut)" if letter.cut else ""))


def _plain(text: str) -> Text:
    """Escape control characters, which a terminal would obey: the message may come from anywhere."""
    return Text("".join(character if character.isprintable() else repr(character)[1:-1] for character in text))
