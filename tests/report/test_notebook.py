"""What Python functions return: cards in notebooks, histories, frames and charts."""

import sys
from html.parser import HTMLParser

import numpy as np
import pytest

import tagfit
from making import QUICK, feature_table, locked
from payloads import PAYLOADS
from tagfit.errors import MissingExtraError, OptionError, OutputError
from tagfit.records.runs import Finding
from tagfit.report.history import History
from tagfit.report.notebook import ROWS, CardTable, result_card
from tagfit.report.result import Diagnosis

#: none that a notebook's host would take out
ALLOWED = {"div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "img", "code", "br", "bdi", "wbr"}


@pytest.fixture(scope="module")
def data():
    return locked(feature_table())


@pytest.fixture(scope="module")
def result(data):
    return tagfit.fit(data, recipe=QUICK)


@pytest.fixture(scope="module")
def several(data, result):
    """One of each thing that is shown."""
    finding = Finding("gap", 0.5, None, "train .9, val .5", "It overfits.", "Cure it.", of="model", code="TAG001")
    diagnosis = Diagnosis((finding,), (), ("gap", "untrained"), "rows")
    evaluation = tagfit.evaluate(result.tagger, data)
    return {"result": result, "inspection": tagfit.inspect(data), "evaluation": evaluation, "diagnosis": diagnosis}


class Found(HTMLParser):
    """The tags of a card, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def test_each_is_a_card_that_needs_no_script_no_style_sheet_and_no_host(several):
    for name, one in several.items():
        found = Found(one._repr_html_())
        assert {tag for tag, _ in found.tags} <= ALLOWED
        assert all(of["src"].startswith("data:image/svg+xml;base64,") for tag, of in found.tags if tag == "img"), name
        assert len(repr(one)) < 100, name
        assert len(str(one).splitlines()) > 3, name


def test_the_card_of_a_result_has_the_verdict_scores_charts_and_next_steps(result):
    found = Found(result._repr_html_())
    assert result.record.verdict.sentences[0] in found.text
    assert f"{result.record.after.scores['val'].micro_f1:.3f}" in found.text
    assert all(step.command in found.text for step in result.next_steps)
    assert [tag for tag, _ in found.tags].count("img") == 2


def test_the_scores_of_an_evaluation_are_in_its_card_and_its_chart(several):
    found = several["evaluation"]
    score = f"{found.scores.micro_f1:.3f}"
    assert score in Found(found._repr_html_()).text
    assert score in found.plot().svg


def test_strange_names_are_text(renamed):
    found = Found(result_card(renamed(PAYLOADS).record, ()).html)
    assert {tag for tag, _ in found.tags} <= ALLOWED
    assert not any(name.startswith("on") for _, of in found.tags for name in of)


def test_a_long_table_says_how_much_is_left_out():
    table = CardTable.of(("label",), [(str(number),) for number in range(ROWS + 3)])
    assert (len(table.rows), table.more) == (ROWS, 3)


def test_a_history_has_every_epoch_of_both_runs(records):
    record, history = records.record, History.of(records.record)
    assert len(history) == len(record.before.history) + len(record.after.history)
    assert [epoch.run for epoch in history[:1]] == ["before"]
    after = [epoch for epoch in history if epoch.run == "after"]
    assert [epoch.val_loss for epoch in after] == [row["val_loss"] for row in record.after.history]
    assert [epoch.val for epoch in after] == [row["val_micro_f1"] for row in record.after.history]
    assert [epoch.epoch for epoch in after if epoch.delivered] == [record.after.delivered_epoch]


def test_the_history_of_folds_says_which_fold(data):
    folded = tagfit.load(np.asarray(data.dataset.x), np.asarray(data.dataset.labels_NL), folds=2)
    history = tagfit.fit(folded, recipe=QUICK).history
    assert {epoch.fold for epoch in history} == {1, 2}
    assert sum(epoch.delivered for epoch in history) == 2
    assert history.plot().svg.count("<path") == 4


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_are_of_the_library_that_you_name(library, several):
    pytest.importorskip(library)
    result = several["result"]
    history = result.history.to_frame(library)
    assert type(history).__module__.startswith(library)
    assert list(history.columns)[:3] == ["run", "fold", "epoch"]
    assert list(history["val_micro_f1"]) == [epoch.val for epoch in result.history]
    frame = result.to_frame(library)
    assert len(frame) == 16 * sum(one is not None for one in result.record.after.scores.values())
    assert [len(one.to_frame(library)) for one in several.values()][1:] == [3, 16, 1]


def test_a_frame_of_what_is_not_installed_says_how_to_install_it(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*\[polars\]"):
        result.to_frame("polars")
    with pytest.raises(OptionError, match=r"pandas or polars; got 'panda'. Did you mean 'pandas'"):
        result.to_frame("panda")


def test_charts_are_saved_by_their_ending(result, tmp_path):
    svg = result.history.plot("metric").save(tmp_path / "metric.svg")
    assert svg.read_text(encoding="utf-8").startswith("<svg")
    with pytest.raises(OutputError, match=r"ends with .svg or .png"):
        result.plot().save(tmp_path / "scores.jpg")
    pytest.importorskip("resvg_py")
    assert result.plot().save(tmp_path / "scores.png").read_bytes().startswith(b"\x89PNG")


def test_a_chart_that_is_not_there_is_answered_with_those_that_are(result):
    assert "micro-F1" in result.plot("learning-model-metric").svg
    with pytest.raises(OptionError, match=r"learning-model-loss.*learning-model-metric"):
        result.plot("learning-after-loss")


def test_a_notebook_is_given_the_chart_as_svg(result):
    assert result.plot()._repr_mimebundle_()["image/svg+xml"].startswith("<svg")
