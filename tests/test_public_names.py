"""The public names, listed once."""

import subprocess
import sys

import pytest

import tagfit

PUBLIC = [
    "Prediction",
    "Recipe",
    "TagClassifier",
    "TagfitError",
    "Tagger",
    "Target",
    "__version__",
    "cure",
    "diagnose",
    "evaluate",
    "export",
    "fit",
    "inspect",
    "load",
    "predict",
    "suggest",
]


def test_the_public_names_are_these():
    assert sorted(tagfit.__all__) == PUBLIC
    assert dir(tagfit) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_loads_and_says_what_it_is(name):
    assert getattr(tagfit, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'fti'"):
        tagfit.fti  # noqa: B018


@pytest.mark.parametrize("code", ["import tagfit", "import tagfit.cli"])
def test_importing_loads_neither_torch_nor_numpy(code):
    heavy = "{'torch', 'numpy', 'sklearn', 'PIL', 'rich', 'pandas'}"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}, sys; print(sorted({heavy} & set(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"


def test_warnings_are_for_those_who_ask_for_them():
    """A program without logging sees nothing on stderr; one with it sees who warns."""
    code = "import logging, tagfit.io.cache; {}; logging.getLogger('tagfit.images.store').warning('not kept')"
    for setting, expected in (("0", ""), ("logging.basicConfig()", "WARNING:tagfit.images.store:not kept\n")):
        run = subprocess.run([sys.executable, "-c", code.format(setting)], capture_output=True, text=True, check=True)
        assert run.stderr == expected
