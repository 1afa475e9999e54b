"""Roles by CLIP: what a crop of an element is more like than anything else."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from singletrack.agent.screen.screenshot import Pixels, Screenshot
from singletrack.agent.targets.element import Element, Role
from singletrack.agent.targets.geometry import Box
from singletrack.client import Client

# What one request may have.
MOST_CROPS: Final = 256
# The scale that CLIP's similarities were trained with.
_LOGIT_SCALE: Final = 100.0
# Around an element, as a share of its smaller side: what it is shows by what it stands out from.
_MARGIN: Final = 0.3
_SMALLEST_SIDE_PX: Final = 16
_PROMPTS: Final[dict[Role, tuple[str, ...]]] = {
    Role.BUTTON: ("a push button with a label in a user interface", "a screenshot of a button"),
    Role.FIELD: ("an empty text input field in a form", "a screenshot of a text box with text in it"),
    Role.CHECKBOX: ("a checkbox in a form", "a screenshot of a toggle switch"),
    Role.RADIO: ("a round radio button in a form", "a screenshot of a radio button"),
    Role.DROPDOWN: ("a dropdown list with an arrow at its right end", "a screenshot of a select box"),
    Role.LINK: ("an underlined or coloured text link", "a screenshot of a hyperlink"),
    Role.TAB: ("a tab in a row of tabs", "a screenshot of a navigation tab"),
    Role.MENU_ITEM: ("an item of a menu bar", "a screenshot of a menu item"),
    Role.LIST_ITEM: ("a row of a list or table", "a screenshot of a list item with an icon"),
    Role.ICON: ("a small icon of a toolbar", "a screenshot of a pictogram"),
    Role.HEADING: ("a heading in large or bold letters", "a screenshot of a title"),
    Role.TEXT: ("a plain line of text", "a screenshot of a label"),
    Role.IMAGE: ("a photo or a drawing in a user interface", "a screenshot of a picture"),
}


class ClipRoles:
    """Weighs a guess of a role by what CLIP sees; crops and prompts that were embedded before are not sent again."""

    def __init__(self, client: Client, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    def weigh(self, screenshot: Screenshot, elements: Sequence[Element]) -> list[Element]:
        """Return at most `MOST_CROPS` elements with the roles that are likeliest now; raises the client's errors."""
        roles, prompts = list(_PROMPTS), [text for texts in _PROMPTS.values() for text in texts]
        texts = self._client.embed_texts(prompts, timeout_s=self._timeout_s).vectors
        crops = [crop_of(screenshot, element.box) for element in elements]
        images = self._client.embed_images(crops, timeout_s=self._timeout_s).vectors
        seen = likelihoods(images, texts.reshape(len(roles), -1, texts.shape[1]))
        return [_weighed(element, roles, row) for element, row in zip(elements, seen, strict=True)]


def crop_of(screenshot: Screenshot, box: Box) -> Pixels:
    """Return an element's pixels with some of its surroundings; at least 16 x 16 of them where the screen allows."""
    margin = int(_MARGIN * min(box.width, box.height))
    across = max(margin, (_SMALLEST_SIDE_PX - box.width + 1) // 2)
    down = max(margin, (_SMALLEST_SIDE_PX - box.height + 1) // 2)
    around = Box(box.left - across, box.top - down, box.width + 2 * across, box.height + 2 * down)
    return np.ascontiguousarray(screenshot.crop(around))


def likelihoods(images: NDArray[np.float32], prompts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return for each image (n x d) how likely each role is (n x roles), by its prompts (roles x prompts x d)."""
    roles = prompts.mean(axis=1)
    roles /= np.linalg.norm(roles, axis=1, keepdims=True)
    logits = _LOGIT_SCALE * (images @ roles.T).astype(np.float64)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def _weighed(element: Element, roles: Sequence[Role], seen: NDArray[np.float64]) -> Element:
    """The guess is as likely as its score says; the other roles share the rest."""
    guess = np.array([element.score if role is element.role else (1 - element.score) for role in roles])
    guess[[role is not element.role for role in roles]] /= len(roles) - 1
    both = guess * seen
    total = float(both.sum())
    if total <= 0:
        return element
    best = int(both.argmax())
    return replace(element, role=roles[best], score=float(both[best]) / total)
