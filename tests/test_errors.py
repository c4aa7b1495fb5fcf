import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from importlib.resources import files
from pathlib import Path

import pytest

from tagfit import errors
from tagfit.errors import (
    EXTRAS,
    DataError,
    MissingExtraError,
    demand_extra,
    did_you_mean,
    install_line,
    nearest_file,
)


def test_extras_are_those_of_the_project():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    brought_by = packages_distributions()
    for extra, packages in EXTRAS.items():
        listed = {re.match(r"[\w-]+", need)[0].lower() for need in project["optional-dependencies"][extra]}
        assert {name.lower().replace("_", "-") for package in packages for name in brought_by[package]} == listed
    assert {*EXTRAS, "dev", "docs"} == {*project["optional-dependencies"]}


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_missing_package_is_told_by_its_own_name(extra, monkeypatch):
    demand_extra("this", extra)
    monkeypatch.setitem(sys.modules, EXTRAS[extra][-1], None)
    with pytest.raises(MissingExtraError, match=rf"this needs .* pip install .*\[{extra}\]'"):
        demand_extra("this", extra)


def test_the_types_are_for_others_too():
    assert files("tagfit").joinpath("py.typed").is_file()


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("lr", ("rate", "epochs"), " Did you mean 'rate'?"),
        ("units", ("widths", "dropout"), " Did you mean 'widths'?"),
        ("F1", ("micro_f1", "macro_f1"), " Did you mean 'micro_f1' or 'macro_f1'?"),
        ("train", ("fit", "cure", "predict"), " Did you mean 'fit' or 'cure'?"),
        ("epohcs", ("rate", "epochs"), " Did you mean 'epochs'?"),
        ("nothing like it", ("rate", "epochs"), ""),
    ],
)
def test_a_word_of_other_tools_is_answered_with_ours(word, known, hint):
    assert did_you_mean(word, known) == hint


def test_a_file_that_is_not_there_is_answered_with_the_nearest_beside_it(tmp_path):
    (tmp_path / "Labels.csv").touch()
    assert nearest_file(tmp_path / "label.csv") == f" Did you mean '{tmp_path / 'Labels.csv'}'?"
    assert nearest_file(tmp_path / "photos") == nearest_file(tmp_path / "no" / "labels.csv") == ""


def test_every_fault_of_a_message_is_a_sentence():
    assert str(DataError(["a: no", "b: no!"], "Do it.")) == "2 faults:\n  - a: no.\n  - b: no!\nDo it."


def test_the_install_line_of_a_checkout_works_from_anywhere():
    line = install_line("serve")
    root = Path(__file__).parents[1]
    assert line == f"{sys.executable} -m pip install -c {root / 'constraints.txt'} -e '{root}[serve]'"


def test_the_install_line_of_a_wheel_names_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(errors, "__file__", str(tmp_path / "site-packages" / "tagfit" / "errors.py"))
    assert install_line("serve") == f"{sys.executable} -m pip install 'tagfit[serve]'"
