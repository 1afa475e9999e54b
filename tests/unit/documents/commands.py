"""Whether a command of the documents can be typed: its program, its subcommands, its options."""

import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from typer.testing import CliRunner

from singletrack.cli.app import app
from singletrack_worker.settings import GPUResourceConfig
from tests.unit.documents.markdown import ROOT

_NESTED = re.compile(r"\$\(([^)]*)\)")
_HELP_LIMIT_S = 120.0
# What is neither this project's nor Python's: only the first word after the program is looked at.
_STRANGERS = {"git": ("clone",), "ollama": ("pull", "serve"), "apt-get": ("install",)}
SETTINGS = {f"SINGLETRACK_{name.upper()}" for name in GPUResourceConfig.model_fields} | {"SINGLETRACK_CACHE_DIR"}


def problem(command: str) -> str:
    """Say what is wrong with a command; empty if it can be typed."""
    for part in (*_NESTED.findall(command), *_NESTED.sub("nested", command).split(" && ")):
        words = shlex.split(part, comments=True)
        program = Path(words[0]).name
        if program not in _CHECKS:
            return f"{program} is a program that the tests do not know"
        if found := _CHECKS[program](words[1:]):
            return f"{part}: {found}"
    return ""


def _singletrack(arguments: list[str]) -> str:
    # Asking for help, a command reads its options and does nothing.
    result = CliRunner().invoke(app, [*arguments, "--help"])
    return "" if result.exit_code == 0 else result.output


def _celery(arguments: list[str]) -> str:
    if "flower" in arguments:
        # It has its options read by Tornado, and takes any.
        given = arguments[arguments.index("flower") + 1 :]
        unknown = {word.lstrip("-").partition("=")[0] for word in given} - _flower_options()
        if unknown:
            return f"Flower has no {sorted(unknown)}"
    return _helps("celery", arguments)


def _python(arguments: list[str]) -> str:
    if arguments[0] != "-m":
        return "" if (ROOT / arguments[0]).is_file() else f"there is no {arguments[0]}"
    module, options = arguments[1], [word for word in arguments[2:] if word.startswith("--")]
    if importlib.util.find_spec(module) is None:
        return f"there is no module {module}"
    return _unknown(options, _help(module, ())) if options else ""


def _bash(arguments: list[str]) -> str:
    return "" if (ROOT / arguments[0]).is_file() else f"there is no {arguments[0]}"


def _make(arguments: list[str]) -> str:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z]+) *[?:]?=", makefile, re.MULTILINE))
    names = {word.partition("=")[0] for word in arguments if not word.startswith("-")}
    return "" if names <= targets | variables else f"the Makefile has no {sorted(names - targets - variables)}"


def _pip(arguments: list[str]) -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for requirement in map(Requirement, arguments[1:]):
        extras = requirement.extras if requirement.name == project["name"] else set()
        if unknown := extras - project["optional-dependencies"].keys():
            return f"there is no extra {sorted(unknown)}"
    return "" if arguments[0] == "install" else f"pip {arguments[0]} is not known to the tests"


def _docker(arguments: list[str]) -> str:
    compose, command, *rest = arguments
    if compose != "compose" or command not in ("up", "exec", "ps", "cp"):
        return f"docker {compose} {command} is not known to the tests"
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    named = [word for word in rest if not word.startswith("-")][:1]
    return "" if set(named) <= services.keys() else f"there is no service {named}"


def _export(arguments: list[str]) -> str:
    names = {word.partition("=")[0] for word in arguments}
    return "" if names <= SETTINGS else f"there is no setting {sorted(names - SETTINGS)}"


def _cp(arguments: list[str]) -> str:
    return "" if (ROOT / arguments[0]).is_file() else f"there is no {arguments[0]}"


def _stranger(program: str) -> Callable[[list[str]], str]:
    known = _STRANGERS[program]
    return lambda arguments: "" if arguments[0] in known else f"{arguments[0]} is not known to the tests"


def _helps(module: str, arguments: list[str]) -> str:
    done = _ask_for_help(module, tuple(arguments))
    return "" if done.returncode == 0 else done.stderr or done.stdout


def _help(module: str, arguments: tuple[str, ...]) -> str:
    return _ask_for_help(module, arguments).stdout


def _unknown(options: list[str], text: str) -> str:
    unknown = [option for option in options if option.partition("=")[0] not in text]
    return f"there is no option {unknown}" if unknown else ""


@cache
def _ask_for_help(module: str, arguments: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", module, *arguments, "--help"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_HELP_LIMIT_S)


@cache
def _flower_options() -> frozenset[str]:
    spec = importlib.util.find_spec("flower.options")
    assert spec is not None
    assert spec.origin is not None
    return frozenset(re.findall(r"define\(\s*[\"'](\w+)", Path(spec.origin).read_text(encoding="utf-8")))


def _checks() -> Iterator[tuple[str, Callable[[list[str]], str]]]:
    yield from (("singletrack", _singletrack), ("celery", _celery), ("python", _python), ("make", _make))
    yield from (("pip", _pip), ("docker", _docker), ("export", _export), ("cp", _cp), ("bash", _bash))
    yield from ((program, _stranger(program)) for program in _STRANGERS)


_CHECKS: Mapping[str, Callable[[list[str]], Any]] = dict(_checks())
