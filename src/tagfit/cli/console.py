"""Rich's console behind the gate of all text."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from tagfit.cli.streams import Gate, visible


class GatedConsole(Console):
    """A console of stdout or stderr whose own control codes reach the terminal, and nobody else's."""

    def __init__(self, *, stderr: bool = False) -> None:
        gate = sys.stderr if stderr else sys.stdout
        file = Gate(gate.stream, clean=str, required=gate.required) if isinstance(gate, Gate) else gate
        super().__init__(file=file, highlight=False, markup=False, emoji=False)  # type: ignore[arg-type]

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)
