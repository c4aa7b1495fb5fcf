import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from importlib.resources import files
from pathlib import Path

import pytest

from tagfit.errors import EXTRAS, MissingExtraError, demand_extra


def test_extras_are_those_of_the_project():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    brought_by = packages_distributions()
    for extra, packages in EXTRAS.items():
        listed = {re.match(r"[\w-]+", need)[0].lower() for need in project["optional-dependencies"][extra]}
        assert {name.lower().replace("_", "-") for package in packages for name in brought_by[package]} == listed
    assert {*EXTRAS, "dev"} == {*project["optional-dependencies"]}


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_missing_package_is_told_by_its_own_name(extra, monkeypatch):
    demand_extra("this", extra)
    monkeypatch.setitem(sys.modules, EXTRAS[extra][-1], None)
    with pytest.raises(MissingExtraError, match=rf"this needs .* pip install 'tagfit\[{extra}\]'"):
        demand_extra("this", extra)


def test_the_types_are_for_others_too():
    assert files("tagfit").joinpath("py.typed").is_file()
