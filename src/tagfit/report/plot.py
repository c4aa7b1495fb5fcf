"""A chart of the page by itself: shown in a notebook, saved as SVG or PNG."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from tagfit.errors import OutputError, demand_extra
from tagfit.io.files import writable, write_atomically
from tagfit.report.context import Figure
from tagfit.report.files import as_png, as_svg


@dataclass(frozen=True)
class Plot:
    """A chart. A notebook shows it; elsewhere, `save` it."""

    figure: Figure

    @property
    def svg(self) -> str:
        """The chart as an SVG file has it."""
        return as_svg(self.figure)

    def png(self) -> bytes:
        """The chart as a PNG file has it.

        Raises:
            MissingExtraError: PNG needs `tagfit[figures]`; SVG does not.
        """
        demand_extra("PNG", "figures")
        return as_png(self.figure)

    def save(self, file: str | Path) -> Path:
        """Write the chart to FILE.svg or FILE.png, in place of what was there; returns where.

        Raises:
            OutputError: the name ends otherwise, or the file cannot be written.
            MissingExtraError: PNG needs `tagfit[figures]`; SVG does not.
        """
        path = Path(file)
        if path.suffix not in (".svg", ".png"):
            raise OutputError(f"{path}: expected a name that ends with .svg or .png")
        content = self.png() if path.suffix == ".png" else self.svg.encode("utf-8")
        with writable(path):
            write_atomically(path, content)
        return path

    @property
    def data_url(self) -> str:
        """The chart as the source of an image."""
        return f"data:image/svg+xml;base64,{b64encode(self.svg.encode('utf-8')).decode('ascii')}"

    def _repr_mimebundle_(self, **asked: object) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"<chart: {self.figure.caption}>"
