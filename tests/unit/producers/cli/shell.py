"""The command line, run in this process."""

import json
from typing import Any

from typer.testing import CliRunner

from singletrack.cli.app import app


class Shell:
    """Runs commands on one track."""

    def __init__(self, url: str, track: str) -> None:
        self.start = ["--redis-url", url, "--track", track]

    def __call__(self, *args: str, status: int = 0) -> Any:
        result = CliRunner().invoke(app, [*self.start, *args])
        assert result.exit_code == status, (result.stdout, result.stderr, result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    def json(self, *args: str) -> Any:
        return json.loads(self(*args, "--json").stdout)
