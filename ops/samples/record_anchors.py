"""Records the anchors of the reference workflow from the sample screenshots and the boxes beside them.

Development only. `python ops/samples/record_anchors.py` writes them all; it prints what the recorder says of them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from singletrack.agent.recorder import Recorder
from singletrack.agent.resolver import Resolver
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.anchor_file import save_anchor
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.engines import default_reader

SAMPLES = Path(__file__).parent
ANCHORS = SAMPLES / "workflow" / "anchors"
# Which elements a person would have clicked, by scene.
CLICKED = {
    "settings": ("task-files",),
    "files": ("search", "open"),
    "invoice": ("purchase-order", "reference", "note", "needs-approval", "submit"),
    "orders": ("edit-30908", "filter"),
}
# Recorded from an older look: its icon has been redrawn since, which takes a VLM to see.
OLDER_LOOK = "filter"


def with_older_icon(screenshot: Screenshot, box: Box) -> Screenshot:
    """Draw three sliders where the icon is now."""
    picture = Image.fromarray(screenshot.pixels)
    draw = ImageDraw.Draw(picture)
    x, y = box.center.x, box.center.y
    ground = picture.getpixel((box.left + 4, box.top + 4))
    draw.rectangle((box.left + 8, box.top + 8, box.right - 8, box.bottom - 8), fill=ground)
    for row, knob in ((-10, 6), (0, -7), (10, 3)):
        draw.line((x - 16, y + row, x + 16, y + row), fill="#1c2430", width=3)
        draw.ellipse((x + knob - 4, y + row - 4, x + knob + 4, y + row + 4), fill="#1c2430")
    return Screenshot(np.asarray(picture))


def main() -> None:
    """Record everything."""
    reader = default_reader()
    recorder = Recorder(Resolver(), reader)
    for scene, clicked in CLICKED.items():
        screenshot = Screenshot.of(SAMPLES / f"{scene}.png")
        told = json.loads((SAMPLES / f"{scene}.json").read_text(encoding="utf-8"))
        boxes = {element["id"]: Box(*element["box"]) for element in told["elements"]}
        for name in clicked:
            shown = with_older_icon(screenshot, boxes[name]) if name == OLDER_LOOK else screenshot
            recorded = recorder.record(shown, boxes[name].center)
            save_anchor(recorded.anchor, ANCHORS / f"{name}.json")
            said = "; ".join(recorded.problems) or "no problems"
            print(f"{scene}/{name}: {recorded.anchor.box}, {'' if recorded.is_enough else 'NOT ENOUGH, '}{said}")


if __name__ == "__main__":
    main()
