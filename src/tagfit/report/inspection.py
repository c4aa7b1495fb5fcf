"""What `tagfit inspect` shows, in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType, group
from rich.table import Table
from rich.text import Text

from tagfit.data.inspection import InspectionRecord, LabelPair, NeighbourReport, StoredFile
from tagfit.report.table import bare_table
from tagfit.report.visible import duration

if TYPE_CHECKING:  # it loads torch
    from tagfit.runs.estimation import Estimate

#: names that are spelled out where there may be many
SHOWN = 5


@group()
def inspection_table(record: InspectionRecord, estimate: Estimate | None = None) -> Iterator[RenderableType]:
    """All of it, one after the other.

    Args:
        estimate: how long training takes, if that was estimated.
    """
    shape = "x".join(map(str, record.shape))
    labels = record.labels
    yield Text(
        f"{record.name} · {record.samples:,} {record.kind} of {shape} · {len(labels)} labels · lock {record.lock[:12]}",
        style="bold",
    )
    for text in record.reading:
        yield Text(text)
    if record.unlabelled:
        yield Text(
            f"{record.unlabelled:,} images are unlabelled. They are not used as samples; `tagfit "
            "predict` can label them"
        )
    yield Text()
    if record.backbone:
        yield Text(f"brings knowledge from outside: {record.backbone}")
    yield Text("  ".join(f"{part} {count:,}" for part, count in record.parts.items() if count))
    yield Text(f"yes labels per sample: {_per_sample(record.labels_per_sample)}")
    yield Text()
    yield _label_table(record)
    if record.pairs:
        yield Text()
        yield _pair_table(record.pairs)
    yield Text()
    yield from (Text(f"! {text}", style="yellow") for text in record.suspicions)
    yield from _files(record)
    yield from (Text(f"note: {note}", style="dim") for note in record.notes)
    if estimate is not None:
        yield Text(_estimate(estimate))
    if record.stored:
        yield Text(_stored(record.stored), style="dim")


def _per_sample(counts: Mapping[int, int]) -> str:
    total = sum(counts.values())
    mean = sum(labels * samples for labels, samples in counts.items()) / total
    spread = ", ".join(f"{labels}: {samples:,}" for labels, samples in counts.items())
    return f"{mean:.2f} on average ({spread})"


def _label_table(record: InspectionRecord) -> Table:
    parts = [part for part, count in record.parts.items() if count]
    table = _names_table("label", 28, "yes", "share", *parts, "unknown")
    for label in sorted(record.labels, key=lambda label: -label.yes):
        known = label.yes + label.no
        share = f"{label.yes / known:.1%}" if known else "-"
        by_part = [f"{label.yes_by_part[part]:,}" for part in parts]
        table.add_row(label.name, f"{label.yes:,}", share, *by_part, f"{label.unknown:,}")
    return table


def _names_table(heading: str, width: int, *columns: str) -> Table:
    """A table whose first column holds names."""
    table = bare_table()
    table.add_column(heading, overflow="ellipsis", no_wrap=True, max_width=width)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _pair_table(pairs: Sequence[LabelPair]) -> Table:
    table = _names_table("most often together", 48, "samples", "times chance")
    for pair in pairs:
        table.add_row(f"{pair.first} + {pair.second}", f"{pair.together:,}", f"{pair.lift:.2f}")
    return table


def _files(record: InspectionRecord) -> Iterator[Text]:
    set_aside, copies = record.set_aside, record.copies
    if set_aside:
        yield Text(f"! unreadable images: {len(set_aside)}", style="yellow")
        yield from (Text(f"    {name}: {reason}") for name, reason in set_aside[:SHOWN])
    else:
        yield Text("no unreadable samples")
    if copies:
        yield Text(f"! byte-identical samples, groups: {len(copies)}", style="yellow")
        yield from (Text(f"    {' = '.join(names[:SHOWN])}") for names in copies[:SHOWN])
    else:
        yield Text("no byte-identical samples")
    yield from _near_copies(record.near_copies)
    if record.neighbours:
        yield from _neighbours(record.neighbours)


def _near_copies(groups: Sequence[Sequence[tuple[str, str]]]) -> Iterator[Text]:
    if not groups:
        return
    yield Text(f"! near-copies, groups: {len(groups)}", style="yellow")
    # those that lie in two parts first: they are what matters
    for places in sorted(groups, key=lambda places: len({part for _, part in places}) == 1)[:SHOWN]:
        yield Text(f"    {' ~ '.join(f'{name} ({part})' for name, part in places[:SHOWN])}")


def _neighbours(report: NeighbourReport) -> Iterator[Text]:
    across, alarming = report.across, report.more_than_chance
    yield Text(
        f"{'! ' if alarming else ''}neighbouring {report.by}: more alike than random pairs in {report.alike:.0%} "
        f"of cases (by chance 50%, p = {report.p_value:.3f}); {len(across)} of {report.pairs} pairs are parted",
        style="yellow" if alarming else "",
    )
    if alarming:
        for (first, part), (second, other) in across[:SHOWN]:
            yield Text(f"    {first} ({part}) | {second} ({other})")


def _estimate(estimate: Estimate) -> str:
    return (
        f"estimated time without early stopping: fit {duration(estimate.whole_fit_seconds)}, "
        f"cure {duration(estimate.whole_cure_seconds)}; memory beside torch itself: "
        f"{estimate.memory_bytes / 1e6:,.0f} MB"
    )


def _stored(stored: StoredFile) -> str:
    folder = stored.file.replace("\\", "/").rpartition("/")[0]
    return f"decoded images: {stored.bytes / 1e6:,.1f} MB in {folder} (see tagfit cache)"
