"""A picture of every false click: what was recorded above, where it was clicked below."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from evaluation.album import Album
from evaluation.judge import Kind, Trial, Verdict
from evaluation.looks import BASE
from evaluation.truth import Removal
from singletrack.agent.screen.screenshot import Pixels, Screenshot
from singletrack.agent.targets.geometry import Box

_AROUND_PX = 260
_RED, _GREEN = (220, 30, 30), (20, 150, 40)


def describe(trials: Sequence[Trial]) -> str:
    """Return a line for each false click."""
    lines = [
        f"{one.page} {one.target}: {one.kind} on {one.variant}, clicked {one.point} by {one.method} {one.score:.2f}"
        f"{'' if one.is_enough else ' (not enough)'}: {one.why}"
        for one in trials
        if one.verdict is Verdict.FALSE
    ]
    return "\n".join(lines) or "none"


def draw(trials: Sequence[Trial], pages: Mapping[str, Album], folder: Path) -> None:
    """Write a picture of each false click."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(trial for trial in trials if trial.verdict is Verdict.FALSE):
        name = f"{number:03} {one.page} {one.target} {one.variant}.png".replace(" ", "-")
        pair = np.vstack([_recorded(one, pages[one.page]), _clicked(one, pages)])
        cv2.imwrite(str(folder / name), pair[:, :, ::-1])


def _recorded(trial: Trial, album: Album) -> Pixels:
    truth = album.truth.shot(BASE).element(trial.target)
    if truth is None:
        raise KeyError(f"{trial.target} is not on {trial.page}")
    return _around(album.picture(BASE), truth.click.x, truth.click.y, truth.box, _GREEN)


def _clicked(trial: Trial, pages: Mapping[str, Album]) -> Pixels:
    if trial.point is None:
        raise ValueError(f"{trial.target} was not clicked")
    x, y = trial.point
    return _around(_screen(trial, pages), x, y, Box(x - 4, y - 4, 9, 9), _RED)


def _screen(trial: Trial, pages: Mapping[str, Album]) -> Screenshot:
    album = pages[trial.page]
    if trial.kind is Kind.WRONG_SCREEN:
        return pages[trial.variant].picture(BASE)
    if trial.variant == "removed":
        return album.without(_removal(trial, album))
    return album.picture(trial.variant)


def _removal(trial: Trial, album: Album) -> Removal:
    is_twin_only = trial.kind is Kind.TWIN_ONLY
    fitting = [one for one in album.truth.removals if one.target == trial.target]
    return next((one for one in fitting if (one.twins_left == 1) is is_twin_only), fitting[0])


def _around(screen: Screenshot, x: int, y: int, box: Box, colour: tuple[int, int, int]) -> Pixels:
    canvas = np.zeros((_AROUND_PX * 2, _AROUND_PX * 4, 3), dtype=np.uint8)
    picture = screen.pixels.copy()
    cv2.rectangle(picture, (box.left, box.top), (box.right, box.bottom), colour, 2)
    left, top = max(x - _AROUND_PX * 2, 0), max(y - _AROUND_PX, 0)
    part = picture[top : top + _AROUND_PX * 2, left : left + _AROUND_PX * 4]
    canvas[: part.shape[0], : part.shape[1]] = part
    return canvas
