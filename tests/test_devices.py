"""The device that is asked for is the one that a backbone looks at images on."""

import pytest
import torch
from click.testing import CliRunner

import tagfit
from making import image_folder, tiny_backbone
from tagfit.cli.main import main
from tagfit.recipes import DenseModel, Recipe, Training

QUICK = Recipe(name="quick", model=DenseModel(widths=(8,)), training=Training(epochs=2, patience=0))


@pytest.fixture
def asked(monkeypatch):
    """A machine whose cuda is its CPU; which devices images were to be looked at on, by name."""
    from tagfit.training.features import Extractor

    found = []

    def device(name="auto"):
        there = torch.device("cpu")
        names[id(there)] = name
        kept.append(there)
        return there

    class Recorded(Extractor):
        def __init__(self, pretrained, device):
            found.append(names[id(device)])
            super().__init__(pretrained, device)

    names, kept = {}, []
    for place in ("training.device", "inference.torch_runtime", "runs.estimation", "runs.checkup"):
        monkeypatch.setattr(f"tagfit.{place}.find_device", device)
    monkeypatch.setattr("tagfit.training.features.Extractor", Recorded)
    return found


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return image_folder(tmp_path_factory.mktemp("photos"), samples=40)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return tiny_backbone(tmp_path_factory.mktemp("backbone") / "tiny")


def test_in_python(photos, backbone, asked, tmp_path):
    tagfit.load(photos, backbone=backbone, device="cuda")
    assert asked == ["cuda"]
    run = tagfit.fit(tagfit.load(photos, backbone=backbone), recipe=QUICK, output=tmp_path / "run").folder
    tagfit.diagnose(run, quick=True, device="cuda")
    assert asked == ["cuda", "auto", "cuda"]


@pytest.mark.parametrize("command", ["inspect", "diagnose", "fit", "cure"])
def test_on_the_command_line(command, photos, backbone, asked, tmp_path, monkeypatch):
    monkeypatch.setattr("tagfit.api.estimate", lambda data, device: {"estimated on": device})
    words = {"fit": ["-o", tmp_path / "run"], "cure": ["-o", tmp_path / "run", "--trials", "1", "--single"]}
    given = [command, photos, "--backbone", backbone, "--device", "cuda", *words.get(command, []), "--json"]
    given += ["--quick"] if command == "diagnose" else []
    done = CliRunner().invoke(main, [str(word) for word in given])
    assert done.exit_code in (0, 3), done.output
    assert asked == ["cuda"]
    assert '"estimated on": "cuda"' in done.stdout or command != "inspect"


def test_one_that_this_machine_does_not_have_is_said_before_anything_is_read():
    missing = "cuda" if torch.backends.mps.is_available() else "mps"
    for job in (tagfit.load, tagfit.fit, tagfit.diagnose):
        with pytest.raises(tagfit.TagfitError, match=f"no {missing} device"):
            job("nowhere", device=missing)
