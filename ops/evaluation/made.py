"""What was rendered, as a table: not every toolkit can show every variant."""

from collections.abc import Sequence

from evaluation.looks import BASE, CHANGES
from evaluation.truth import PageTruth


def made(pages: Sequence[PageTruth]) -> str:
    """Return a row for each page: `x` was made, `=` is what the base looks like already, `-` was left out."""
    variants = list(CHANGES)
    lines = [f"{'':16} {'base':>10} {'%':>4} {'targets':>7} {'removals':>8}  variants"]
    reasons = []
    for page in pages:
        base = page.shot(BASE)
        marks = " ".join(_mark(page, variant) for variant in variants)
        size = f"{base.width}x{base.height}"
        count = f"{len(base.targets):>7} {len(page.removals):>8}"
        lines.append(f"{page.page:16} {size:>10} {page.base_percent:>4} {count}  {marks}")
        reasons += [f"{page.page} has no {variant}: {reason}" for variant, reason in page.left_out.items()]
    lines.append("variants in their order: " + ", ".join(variants))
    removals = [removal for page in pages for removal in page.removals]
    twins = sum(removal.twins_left > 0 for removal in removals)
    lines.append(f"{len(removals)} removals, {twins} of them with a twin left")
    return "\n".join(lines + reasons)


def _mark(page: PageTruth, variant: str) -> str:
    if variant == f"scale_{page.base_percent}":
        return "="
    return "x" if any(shot.variant == variant for shot in page.shots) else "-"
