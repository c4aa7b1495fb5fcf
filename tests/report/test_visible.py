import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfit.report.visible import visible, written


def test_what_turns_or_hides_is_written_out():
    assert visible("photo\u202egpj.exe") == "photo⟨U+202E⟩gpj.exe"
    assert visible("a\x00\nb\ud800") == "a⟨U+0000⟩⟨U+000A⟩b⟨U+D800⟩"


def test_what_people_write_stays():
    for text in ("Straße", "海辺", "شاطئ", "👩\u200d🚒", "a b"):
        assert visible(text) == text


@given(st.text(), st.integers(1, 50))
def test_it_can_be_written_and_stays_short(text, width):
    shown = visible(text, width)
    shown.encode("utf-8")
    assert len(shown) <= 10 * width
    assert shown.isprintable() or "\u200c" in shown or "\u200d" in shown or any(one.isspace() for one in shown)


@pytest.mark.parametrize(("value", "text"), [(-0.0004, "0.000"), (-0.5, "−0.500"), (2, "2.000")])
def test_numbers_have_a_real_minus_and_no_negative_zero(value, text):
    assert written(value, ".3f") == text
