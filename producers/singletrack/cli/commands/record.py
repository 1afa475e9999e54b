"""`singletrack record`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from singletrack.cli.context import JsonOption, TimeoutOption, client_of
from singletrack.cli.output import clock_time, console, megabytes, one_line, print_json
from singletrack.pictures.recording_spans import spans, total_s
from singletrack_tasks.errors import InvalidRequest
from singletrack_tasks.payload.files import read_file
from singletrack_tasks.recording import UNPACKED_BYTES_MAX, Recording
from singletrack_tasks.text import shorten

_SHOWN = 5


def record(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option(help="Write the recording to this file, by default a new one here.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the recording, and write it to this PNG file.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="Read a recording from this file instead of asking the worker.", metavar="RECORDING"),
    ] = None,
    as_json: JsonOption = False,
    timeout_s: TimeoutOption = 10.0,
) -> None:
    """Fetch the last ten minutes of the GPU from the worker's flight recorder; never waits for the GPU."""
    if file is None:
        with client_of(context) as client:
            recording = client.record(timeout_s=timeout_s)
        if out is None and plot is None and not as_json:
            out = Path(recording.file_name)
    else:
        recording = _read(file)
    print_json(recording.dump()) if as_json else console().print(_table(recording))
    for path, what in _written(recording, out, plot):
        if not as_json:
            console().print(f"{what} {path}", markup=False)


def _written(recording: Recording, out: Path | None, plot: Path | None) -> Iterator[tuple[Path, str]]:
    """Write what is to be written; yields each file and what it is."""
    if out is not None:
        try:
            out.write_bytes(recording.pack())
        except OSError as error:
            raise InvalidRequest(
                f"the recording cannot be written to {shorten(str(out))}: {error.strerror or error}"
            ) from error
        yield out, "the recording is in"
    if plot is not None:
        from singletrack.pictures import recording_plot

        recording_plot.plot(recording, plot)
        yield plot, "its picture is in"


def _read(file: Path) -> Recording:
    try:
        data = read_file(file, UNPACKED_BYTES_MAX)
    except OSError as error:
        raise InvalidRequest(f"{shorten(str(file))} cannot be read: {error.strerror or error}") from error
    return Recording.unpack(data)


def _table(recording: Recording) -> Table:
    title = Text(f"recording of track {one_line(recording.track)}", style="table.title")
    table = Table(title=title, show_header=False, title_justify="left")
    for name, value in _rows(recording).items():
        table.add_row(name, Text(one_line(value)))
    failures = [mark for mark in recording.marks if mark.error]
    for mark in failures[-_SHOWN:]:
        line = f"{clock_time(mark.at_unix_s)}  {one_line(f'{mark.what}: {mark.error}')}"
        table.add_row(Text("failure", style="red"), Text(line))
    return table


def _rows(recording: Recording) -> dict[str, str]:
    samples = recording.samples
    detail = f": {recording.detail}" if recording.detail else ""
    rows = {"reason": f"{recording.reason}{detail}", "GPU": recording.gpu.name if recording.gpu else "none"}
    if not samples:
        return rows | {"samples": "none"}
    modes = total_s(spans(samples, lambda sample: str(sample.mode)))
    operations = total_s(spans(samples, lambda sample: sample.operation))
    return rows | {
        "from": clock_time(samples[0].at_unix_s),
        "to": f"{clock_time(samples[-1].at_unix_s)}, {len(samples)} samples",
        "peak VRAM": _peak(recording),
        "tenants' peaks": _tenants(recording),
        "processes": _processes(recording) or "not listed by the driver",
        "modes": _durations(modes),
        "operations": _durations(operations) or "none",
        "steps": _counts(mark.what for mark in recording.marks if not mark.error) or "none",
    }


def _peak(recording: Recording) -> str:
    used = [(sample.used_mb, sample.at_unix_s) for sample in recording.samples if sample.used_mb is not None]
    if not used:
        return "none"
    # The first moment of that height.
    peak_mb, at_unix_s = max(used, key=lambda pair: (pair[0], -pair[1]))
    return f"{megabytes(peak_mb)} of {megabytes(recording.total_mb)} at {clock_time(at_unix_s)}"


def _tenants(recording: Recording) -> str:
    vlm_mb = max((sample.vlm_mb or 0 for sample in recording.samples), default=0)
    clip_mb = max((sample.clip_mb or 0 for sample in recording.samples), default=0)
    return f"VLM {megabytes(vlm_mb)}, CLIP {megabytes(clip_mb)}"


def _processes(recording: Recording) -> str:
    """Name the processes with the most memory at their peak."""
    peaks: dict[tuple[int, str], int] = {}
    for process in (process for sample in recording.samples for process in sample.processes):
        key = (process.pid, process.name)
        peaks[key] = max(peaks.get(key, 0), process.vram_mb or 0)
    largest = sorted(peaks.items(), key=lambda item: -item[1])[:_SHOWN]
    return ", ".join(f"{name} ({pid}) {megabytes(mb or None)}" for (pid, name), mb in largest)


def _durations(sums: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {duration_s:.1f} s" for name, duration_s in sums.items())


def _counts(names: Iterable[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in Counter(names).items())
