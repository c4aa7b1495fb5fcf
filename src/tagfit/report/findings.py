"""What a diagnosis found, as a terminal shows it in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import fill

from rich.console import RenderableType, group
from rich.text import Text

from tagfit.diagnosis.registry import DiagnosisRecord
from tagfit.records.runs import Finding

#: of a line of text that stands in by as much
WIDTH, INDENT = 80, "   "


@group()
def diagnosis_text(diagnosis: DiagnosisRecord) -> Iterator[RenderableType]:
    """The findings, the worst first, then the checks that found nothing."""
    yield Text(diagnosis.subject, style="bold")
    for of in ("data", "model"):
        here = [finding for finding in diagnosis.findings if finding.of == of]
        if here:
            yield from (Text(), Text(f"found in the {of}", style="underline"))
        for number, finding in enumerate(here, 1):
            yield from (Text(), *_finding(number, finding))
    yield Text()
    found = {finding.check for finding in diagnosis.findings}
    silent = [name for name in diagnosis.checked if name not in found]
    if silent:
        checks = f"{len(silent)} check{'s' * (len(silent) > 1)}"
        yield Text(f"Nothing found by {checks}: {', '.join(silent)}.", style="" if found else "green")
    yield from (_indented(f"{one.check}: {one.seen}") for one in diagnosis.powers)
    for one in diagnosis.cannot:
        yield Text(f"Not checked: {one.check} ({one.code}): {one.why}.", style="dim")
    if diagnosis.ignored:
        yield Text(f"Left out by --ignore: {', '.join(diagnosis.ignored)}.", style="dim")


def _finding(number: int, finding: Finding) -> Iterator[RenderableType]:
    yield Text(f"{number}. {finding.meaning}{_code(finding)}", style="bold yellow")
    yield _indented(f"seen: {finding.seen}")
    yield _indented(f"do: {finding.todo}")


def findings_lines(findings: Sequence[Finding]) -> Iterator[RenderableType]:
    """Below the table of a fit or a cure: what is wrong with what is delivered, and what was with the baseline."""
    for of, head in (("after", "found in the delivered model"), ("before", "found in the baseline")):
        here = [finding for finding in findings if finding.of == of]
        if here:
            yield from (Text(), Text(head, style="underline"))
        for number, finding in enumerate(here, 1):
            if of == "after":
                yield from _finding(number, finding)
            else:
                yield from (Text(f"{number}. {finding.meaning}{_code(finding)}"), _indented(finding.seen))


def _code(finding: Finding) -> str:
    return f" [{finding.code}]" if finding.code else ""


def _indented(text: str) -> Text:
    return Text(fill(text, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT))
