"""The frame of a full screen: borders that its parts share, and lines cut to fit."""

from rich.text import Text

BORDER = "grey50"
_TITLE = "bold"


def rule(
    width: int,
    title: str,
    note: str = "",
    *,
    ends: str = "├┤",
    second: str | None = None,
    splits_above: bool = False,
) -> Text:
    """Draw a border with a title, a note at its right end, and where it splits in two, the title of the second part."""
    middle = width // 2
    chars = ["─"] * max(width, 2)
    chars[0], chars[-1] = ends[0], ends[1]
    if second is not None or splits_above:
        chars[middle] = {(True, True): "┼", (True, False): "┬", (False, True): "┴"}[second is not None, splits_above]
    line = Text("".join(chars), style=BORDER)
    room = middle if second is not None else width
    line = _put(line, title, 2, room - 2, _TITLE)
    if second is not None:
        line = _put(line, second, middle + 2, width - 2, _TITLE)
    start = width - len(note) - 4
    return _put(line, note, start, width - 2, "") if start > len(title) + 5 else line


def _put(line: Text, text: str, start: int, end: int, style: str) -> Text:
    if not text or end <= start:
        return line
    words = Text(f" {text} ", style=style)
    words.truncate(end - start, overflow="ellipsis")
    return Text.assemble(line[:start], words, line[start + words.cell_len :])


def row(line: Text, width: int) -> Text:
    """Put a line between borders, cut or filled to the width."""
    return Text.assemble(("│ ", BORDER), fitted(line, width - 4), (" │", BORDER))


def pair(left: Text, right: Text, width: int) -> Text:
    """Put two lines side by side between borders, where `rule` splits."""
    middle = width // 2
    return Text.assemble(
        ("│ ", BORDER), fitted(left, middle - 3), (" │ ", BORDER), fitted(right, width - middle - 4), (" │", BORDER)
    )


def fitted(line: Text, width: int) -> Text:
    """Cut or fill a line to so many cells."""
    line = line.copy()
    line.truncate(max(0, width), overflow="ellipsis", pad=True)
    return line


def spread(left: Text, right: Text, width: int) -> Text:
    """Put one line at the left end and one at the right, and cut the left one where there is no room for both."""
    return Text.assemble(fitted(left, max(0, width - right.cell_len - 1)), " ", right)
