"""Draws in a terminal what a pipe says, and tells through another when it is drawn: run by xterm."""

import json
import os
import pathlib
import sys
import termios
import tty


def draw(told: str, done: str) -> None:
    """Write to the terminal what a pipe says, and report when the terminal has taken it."""
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    tty.setraw(keys)
    try:
        with (
            pathlib.Path(told).open(encoding="utf-8") as wanted,
            pathlib.Path(done).open("w", encoding="utf-8") as answers,
        ):
            # The size of a cell in pixels: ESC [ 6 ; height ; width t.
            _, height, width = _asked(keys, "\x1b[16t", "t").split(";")
            answers.write(json.dumps([int(width), int(height)]) + "\n")
            answers.flush()
            for line in wanted:
                # A terminal that answers has drawn what came before.
                _asked(keys, json.loads(line) + "\x1b[6n", "R")
                answers.write("drawn\n")
                answers.flush()
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)


def _asked(keys: int, question: str, end: str) -> str:
    sys.stdout.write(question)
    sys.stdout.flush()
    answer = ""
    while not answer.endswith(end):
        answer += os.read(keys, 1).decode("ascii", "replace")
    return answer.rstrip(end)


if __name__ == "__main__":
    draw(*sys.argv[1:])
