import io

import pytest
from PIL import Image

from tagfit.errors import OutputError
from tagfit.report.files import as_png, as_svg, figures, read_context, write_figures, write_report


def test_every_chart_of_the_page_is_a_file(cured, tmp_path):
    context = read_context(cured)
    charts = figures(context)
    assert {"before-and-after", "search", "together", "reliability", "learning-before-loss"} <= {
        chart.slug for chart in charts
    }
    assert write_figures(context, tmp_path / "charts") == len(charts) == len({chart.slug for chart in charts})
    written = {file.name for file in (tmp_path / "charts").iterdir()}
    assert written >= {f"{chart.slug}.svg" for chart in charts}


def test_a_file_of_its_own_has_its_colours_inside(cured):
    for chart in figures(read_context(cured)):
        assert "var(" not in as_svg(chart)
        assert "<style>" in as_svg(chart)


def test_pixels_show_what_was_drawn(cured):
    pytest.importorskip("resvg_py")
    chart = figures(read_context(cured))[0]
    image = Image.open(io.BytesIO(as_png(chart))).convert("RGB")
    colours = {colour for _, colour in image.getcolors(1 << 20)}
    assert {(255, 255, 255), (0x0A, 0x63, 0xA8), (0xB4, 0x47, 0x0F)} <= colours


def test_what_a_killed_command_left_half_filled_is_filled_up(cured, tmp_path):
    context = read_context(cured)
    write_figures(context, tmp_path)
    whole = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for name in sorted(whole)[::2]:
        (tmp_path / name).unlink()
    write_figures(context, tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == whole
    (tmp_path / min(whole)).write_text("another run's")
    with pytest.raises(OutputError, match="is not empty"):
        write_figures(context, tmp_path)
    assert (tmp_path / min(whole)).read_text() == "another run's"


def test_nothing_of_anybodys_is_written_over(cured, tmp_path):
    context = read_context(cured)
    (tmp_path / "mine.svg").write_text("mine")
    with pytest.raises(OutputError, match="is not empty"):
        write_figures(context, tmp_path)
    with pytest.raises(OutputError, match="exists already"):
        write_report(cured, context, tmp_path / "mine.svg")
    assert (tmp_path / "mine.svg").read_text() == "mine"
    assert [file.name for file in tmp_path.iterdir()] == ["mine.svg"]
