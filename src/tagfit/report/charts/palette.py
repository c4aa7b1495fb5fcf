"""The colours of page and charts: one place, light and dark.

Before and after are vermilion and blue, which colour-blind people tell apart (Okabe and Ito, Color universal design,
2008), darkened and lightened until text in them has a contrast of 4.5 to the paper. Nothing is told by colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "paper": "#ffffff",
    "raised": "#f5f7f9",
    "ink": "#1b2027",
    "muted": "#59636e",
    "grid": "#dde2e7",
    "before": "#b4470f",
    "after": "#0a63a8",
    "constant": "#68727d",
    "third": "#7a3e9d",
    "fourth": "#2f6f4f",
    "fifth": "#8a5a00",
    "good": "#176b35",
    "bad": "#a8261c",
}

DARK: Mapping[str, str] = {
    "paper": "#14181d",
    "raised": "#1c2128",
    "ink": "#e8ebef",
    "muted": "#a3adb8",
    "grid": "#333b45",
    "before": "#f29a63",
    "after": "#6fb5f5",
    "constant": "#98a2ad",
    "third": "#cf9df0",
    "fourth": "#7fd0a5",
    "fifth": "#e3b85c",
    "good": "#7ad69b",
    "bad": "#ff9a8f",
}

#: what lines and shapes of several series are called; the class of each in a chart
SERIES = ("before", "after", "constant", "third", "fourth", "fifth")


def variables(colours: Mapping[str, str]) -> str:
    """CSS custom properties."""
    return "".join(f"--{name}:{value};" for name, value in colours.items())


def chart_css(colour_of: Mapping[str, str]) -> str:
    """What classes in a chart mean; the values are `var(--after)` in a page, colours where a chart stands alone."""
    rules = [
        f".c text{{fill:{colour_of['ink']};font:11px system-ui,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}}",
        f".c .m{{fill:{colour_of['muted']}}}",
        f".c .grid{{stroke:{colour_of['grid']};stroke-width:1;fill:none}}",
        f".c .axis{{stroke:{colour_of['muted']};stroke-width:1;fill:none}}",
        f".c .hint{{stroke:{colour_of['muted']};stroke-width:1;stroke-dasharray:2 3;fill:none}}",
        f".c .area{{fill:{colour_of['good']};fill-opacity:.13}}",
        ".c .e{text-anchor:end}.c .k{text-anchor:middle}.c .b{font-weight:600}",
        ".c .line{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}",
        ".c .thin{stroke-width:1.1}.c .dash{stroke-dasharray:5 3}",
    ]
    for name in SERIES:
        colour = colour_of[name]
        rules += [f".c .{name}{{stroke:{colour};fill:{colour}}}", f".c .line.{name}{{fill:none}}"]
        rules += [f".c text.{name}{{stroke:none}}", f".c .{name}.heat{{stroke:none}}"]
        rules += [f".c .{name}.open{{fill:{colour_of['paper']};stroke-width:1.6}}"]
    return "".join(rules)


PAGE_CSS = chart_css({name: f"var(--{name})" for name in LIGHT})
ALONE_CSS = chart_css(LIGHT)
