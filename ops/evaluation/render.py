"""Renders pages with all their variants and removals into a folder."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from evaluation.alter import ALTERATIONS
from evaluation.catalogue import Page
from evaluation.looks import BASE, looks_of
from evaluation.stages.stage import Missing, Scene, Stage
from evaluation.truth import PageTruth, Removal, Shot, TrueElement
from evaluation.twins import with_twins
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box, Point

# How far beyond its box an element may draw (a shadow, a ring), in the toolkit's own pixels.
_FRINGE_PX = 4
# Of 255: how differently Chromium and xterm may draw the edge of a shape twice in a row, and what a person sees.
_NOISE = 24
_VISIBLE = 24


def render_page(page: Page, into: Path) -> str:
    """Render a page into a folder of its name; returns a line for people. Raises `ValueError` if it is wrong."""
    folder = into / page.half / page.name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "removed").mkdir(parents=True)
    try:
        with page.open() as stage:
            truth = _photograph(page, stage, folder)
    except Missing as missing:
        shutil.rmtree(folder)
        return f"left out: {missing}"
    truth.save(folder)
    seen = truth.shot(BASE)
    twins = sum(bool(one.twins) for one in seen.targets)
    made = f"{seen.width}x{seen.height}, {len(seen.targets)} targets, {twins} with twins"
    return f"{made}; {len(truth.shots)} variants, {len(truth.removals)} removals"


def _photograph(page: Page, stage: Stage, folder: Path) -> PageTruth:
    looks = looks_of(page.base_percent)
    base = stage.show(looks.pop(BASE))
    base = Scene(base.pixels, with_twins(base.pixels, base.elements))
    _check(page.name, base)
    removals = _Remover(stage, base, folder, round(_FRINGE_PX * page.base_percent / 100)).all()
    scenes = {BASE: base}
    left_out = {}
    for variant, look in looks.items():
        scene = stage.show(look)
        if np.array_equal(scene.pixels, base.pixels):
            left_out[variant] = "looks the same as the base in this toolkit"
        else:
            scenes[variant] = scene
    for variant, alter in ALTERATIONS.items():
        scenes[variant] = Scene(*alter(base.pixels, base.elements))
    return PageTruth(
        page=page.name,
        toolkit=page.toolkit,
        style=page.style,
        half=page.half,
        base_percent=page.base_percent,
        shots=tuple(_save(folder, variant, scene) for variant, scene in scenes.items()),
        removals=removals,
        left_out=left_out,
    )


def _check(name: str, scene: Scene) -> None:
    """Refuse a base whose truth cannot be right."""
    height, width = scene.pixels.shape[:2]
    screen = Box(0, 0, width, height)
    ids = [one.id for one in scene.elements]
    problems = [f"{one} is there twice" for one in set(ids) if ids.count(one) > 1]
    for one in scene.elements:
        if one.is_target and not one.is_seen:
            problems.append(f"{one.id} is covered or cut off")
        if one.is_seen and (one.box.area == 0 or one.box.shared_area(screen) != one.box.area):
            problems.append(f"{one.id} reaches out of the picture")
        if one.is_target and not one.label.strip():
            problems.append(f"{one.id} has no label")
        if one.is_target and not one.box.contains(one.click):
            problems.append(f"{one.id} is clicked beside its box")
    if problems:
        raise ValueError(f"{name}: " + "; ".join(problems))


class _Remover:
    """Takes targets away from the base, one by one, and keeps what changed."""

    def __init__(self, stage: Stage, base: Scene, folder: Path, fringe_px: int) -> None:
        self._stage = stage
        self._base = base
        self._folder = folder
        self._fringe_px = fringe_px
        self._elements = {one.id: one for one in base.elements}

    def all(self) -> tuple[Removal, ...]:
        """Each target alone and, of those with several twins, with only the nearest of them left."""
        removals = []
        for target in (one for one in self._base.elements if one.is_target):
            removals.append(self._remove(target, (target.id,), len(target.twins)))
            if len(target.twins) > 1:
                nearest = min(target.twins, key=lambda twin: _distance(target, self._elements[twin]))
                gone = (target.id, *(twin for twin in target.twins if twin != nearest))
                if all(not one.startswith("text-") for one in gone):
                    removals.append(self._remove(target, gone, 1))
        return tuple(removals)

    def _remove(self, target: TrueElement, gone: Sequence[str], twins_left: int) -> Removal:
        pixels = self._stage.without(gone)
        where = self._changed(pixels, [self._elements[one] for one in gone])
        patch = f"removed/{target.id}{'' if len(gone) == 1 else '-twin-only'}.png"
        _write(self._folder / patch, pixels[where.top : where.bottom, where.left : where.right])
        at = Point(where.left, where.top)
        return Removal(target=target.id, gone=tuple(gone), twins_left=twins_left, patch=patch, at=at)

    def _changed(self, pixels: Pixels, gone: Sequence[TrueElement]) -> Box:
        """Return the box of all that changed; raises `ValueError` if that is more, or less, than what is gone."""
        change = cv2.absdiff(pixels, self._base.pixels).max(axis=2)
        inside = np.zeros(change.shape, dtype=bool)
        for one in gone:
            top, left = max(one.box.top - self._fringe_px, 0), max(one.box.left - self._fringe_px, 0)
            region = slice(top, one.box.bottom + self._fringe_px), slice(left, one.box.right + self._fringe_px)
            inside[region] = True
            if not (change[region] > _VISIBLE).any():
                raise ValueError(f"{one.id} is still there when it is hidden")
        elsewhere = np.where(inside, 0, change)
        if elsewhere.max() > _NOISE:
            y, x = np.unravel_index(int(elsewhere.argmax()), elsewhere.shape)
            names = ", ".join(one.id for one in gone)
            raise ValueError(f"hiding {names} changed the page at {x}, {y} too, by {elsewhere.max()} of 255")
        left, top, width, height = cv2.boundingRect(np.where(inside, change, 0))
        return Box(left, top, width, height)


def _distance(one: TrueElement, other: TrueElement) -> float:
    return float(np.hypot(one.box.center.x - other.box.center.x, one.box.center.y - other.box.center.y))


def _save(folder: Path, variant: str, scene: Scene) -> Shot:
    # A JPEG's blocks survive a PNG: all pictures are stored alike.
    _write(folder / f"{variant}.png", scene.pixels)
    height, width = scene.pixels.shape[:2]
    return Shot(variant=variant, picture=f"{variant}.png", width=width, height=height, elements=scene.elements)


def _write(path: Path, pixels: Pixels) -> None:
    if not cv2.imwrite(str(path), pixels[:, :, ::-1]):
        raise OSError(f"{path} cannot be written")
