"""The GPU's memory by tenant, and how each tenant is drawn."""

from dataclasses import dataclass

from rich.text import Text

from singletrack.pictures.vram_timeline import TimelinePoint
from singletrack_tasks.status import share_out


@dataclass(frozen=True)
class Tenant:
    """How a part of the memory is drawn: in its colour, or in its shade where there are no colours."""

    name: str
    shade: str
    colour: str

    def glyph(self, *, colour: bool) -> str:
        """The character of a cell that is wholly this tenant's."""
        return "█" if colour else self.shade


OTHER = Tenant("other", "░", "grey58")
FOREIGN = Tenant("foreign", "▚", "yellow")
CLIP = Tenant("CLIP", "▒", "cyan")
VLM = Tenant("VLM", "█", "magenta")
FREE = "·"
# From the bottom to the top.
STACK = (OTHER, FOREIGN, CLIP, VLM)


def parts(point: TimelinePoint) -> list[tuple[Tenant, int]]:
    """Divide the memory in use (MiB) from the bottom up: other, foreign, CLIP, VLM; never more than is in use."""
    parts_mb = share_out(point.used_mb, point.vlm_mb, point.clip_mb, point.foreign_mb)
    return list(zip(STACK, reversed(parts_mb), strict=True))


def tenant_at(point: TimelinePoint, level_mb: float) -> Tenant | None:
    """Find the tenant at this height of the stack; None where memory is free."""
    top_mb = 0
    for tenant, part_mb in parts(point):
        top_mb += part_mb
        if level_mb < top_mb:
            return tenant
    return None


def bar(point: TimelinePoint, total_mb: int, width: int, *, colour: bool) -> Text:
    """Draw the memory as one bar, the tenants from the left, the VLM first, and what is free at its end."""
    line = Text()
    taken_mb = 0
    for tenant, part_mb in reversed(parts(point)):
        taken_mb += part_mb
        cells = min(width, round(taken_mb / max(total_mb, 1) * width)) - len(line)
        line.append(tenant.glyph(colour=colour) * cells, style=tenant.colour)
    line.append(FREE * (width - len(line)), style="dim")
    return line


def legend(point: TimelinePoint, total_mb: int, *, colour: bool) -> Text:
    """Name the tenants and their memory; foreign memory only if there is any."""
    line = Text()
    for tenant, part_mb in reversed(parts(point)):
        if part_mb or tenant is not FOREIGN:
            line.append(tenant.glyph(colour=colour), style=tenant.colour)
            line.append(f" {tenant.name} {part_mb:,} MB   ")
    line.append(FREE, style="dim")
    line.append(f" free {max(0, total_mb - point.used_mb):,} MB")
    return line
