"""What a diagnosis found, as a terminal shows it in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

#: of a line of text that stands in by as much
WIDTH, INDENT = 80, "   "


def diagnosis_text(record: Mapping[str, Any]) -> Group:
    """A diagnosis, as `tagfit diagnose --json` prints it."""
    return Group(*_parts(record))


def _parts(record: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield Text(record["subject"], style="bold")
    for number, finding in enumerate(record["findings"], 1):
        yield Text()
        yield from _finding(number, finding)
    yield Text()
    found = {finding["check"] for finding in record["findings"]}
    silent = [name for name in record["checked"] if name not in found]
    if silent:
        checks = f"{len(silent)} check{'s' * (len(silent) > 1)}"
        yield Text(f"Nothing found by {checks}: {', '.join(silent)}.", style="" if found else "green")
    for one in record["cannot"]:
        yield Text(f"Not checked: {one['check']}: {one['why']}.", style="dim")


def _finding(number: int, finding: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield Text(f"{number}. {finding['meaning']}", style="bold yellow")
    for what in ("seen", "todo"):
        label = "do" if what == "todo" else what
        yield _indented(f"{label}: {finding[what]}")


def findings_lines(findings: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """Below the table of a fit or a cure: what is wrong with what is delivered, and what was with the baseline."""
    told: list[RenderableType] = []
    for of, head in (("after", "found in the delivered model"), ("before", "found in the baseline")):
        here = [finding for finding in findings if finding["of"] == of]
        if not here:
            continue
        told += [Text(head, style="underline")]
        for number, finding in enumerate(here, 1):
            if of == "after":
                told += _finding(number, finding)
            else:
                told += [
                    Text(f"{number}. {finding['meaning']}"),
                    _indented(finding["seen"]),
                ]
        told += [Text()]
    return told[:-1]


def _indented(text: str) -> Text:
    return Text(fill(text, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT))
