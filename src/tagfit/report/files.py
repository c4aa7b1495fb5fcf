"""The report: records of run folders in; one page out, and its charts as files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

from tagfit.errors import OutputError, has_extra
from tagfit.io.files import fill_folder, writable, write_atomically, write_new
from tagfit.report.charts.palette import ALONE_CSS, LIGHT
from tagfit.report.compose import RunFiles, compose
from tagfit.report.context import Context, Figure
from tagfit.report.page import render
from tagfit.runs.folder import REPORT, read_command, read_predictions
from tagfit.runs.predictions import SavedPredictions
from tagfit.runs.record import read_record

#: pixels of a PNG to one of the drawing's
ZOOM = 3


def read_context(run: Path, compare: Sequence[Path] = ()) -> Context:
    """What the page of a run shows, beside other runs where there are some.

    Raises:
        BundleError: one of them is no run folder, or cannot be read.
    """
    return compose(read_run(run), [read_run(one) for one in compare])


def read_run(run: Path) -> RunFiles:
    """What the folder of a run holds. Errors are those of `read_context`."""
    record, folder = read_record(run), _folder(run)
    files = read_predictions(folder)
    saved = SavedPredictions.from_files(files, len(record.data.label_names)) if files else None
    return RunFiles(folder.resolve().name, record, read_command(folder), saved)


def _folder(run: Path) -> Path:
    """The run folder, where its result.json or its bundle may have been named."""
    if (run / "manifest.json").is_file():
        return run.resolve().parent
    return run if run.is_dir() else run.parent


def report_is_missing(run: Path) -> bool:
    """Whether the page is not there, or older than its record: what was to write it was killed before."""
    page, record = run / REPORT, run / "result.json"
    return not page.is_file() or page.stat().st_mtime_ns < record.stat().st_mtime_ns


def write_report(run: Path, context: Context, output: Path | None = None) -> Path:
    """Write the page of a run; returns where.

    Args:
        output: a new file; unless given, report.html in the run folder, in place of what was there.

    Raises:
        OutputError: it cannot be written, or `output` is there already.
    """
    page = render(context).encode("utf-8")
    if output is not None:
        if output.exists():
            raise OutputError(f"{output} exists already", "Choose another file with -o; nothing was overwritten.")
        write_new(output, page)
        return output
    output = _folder(run) / REPORT
    with writable(output):
        write_atomically(output, page)
    return output


def write_figures(context: Context, folder: Path) -> int:
    """Write the page's charts into a new or empty folder, as SVG and, where the extra is installed, as PNG.

    Charts of this page that are there already stay. Returns how many charts there are.

    Raises:
        OutputError: the folder cannot be written to, or holds something.
    """
    charts = figures(context)
    files = {f"{chart.slug}.svg": as_svg(chart).encode() for chart in charts}
    if has_extra("figures"):
        files |= {f"{chart.slug}.png": as_png(chart) for chart in charts}
    with writable(folder):
        fill_folder(folder, files)
    return len(charts)


def figures(node: object) -> list[Figure]:
    """All charts in a page's context, or in a part of it, in order."""
    if isinstance(node, Figure):
        return [node]
    inner = [getattr(node, one.name) for one in fields(node)] if is_dataclass(node) else node
    return [figure for one in inner for figure in figures(one)] if isinstance(inner, list | tuple) else []


def as_svg(figure: Figure) -> str:
    """The chart as a file: on white, with its colours inside."""
    opening, rest = figure.svg.split(">", 1)
    paper = f'<rect width="100%" height="100%" fill="{LIGHT["paper"]}"/>'
    return f"{opening}><style>{ALONE_CSS}</style>{paper}{rest}\n"


def as_png(figure: Figure) -> bytes:
    """The chart as pixels."""
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=as_svg(figure), zoom=ZOOM))
