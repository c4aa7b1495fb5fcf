import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from making import TINY, tiny_backbone
from tagfit.errors import DataError, MissingExtraError
from tagfit.io.typed_json import from_plain, to_plain
from tagfit.models.backbones import TAKEN, build_backbone, load_backbone
from tagfit.models.folding import EXACT, folded
from tagfit.records.data import Backbone


@pytest.fixture
def folder(tmp_path):
    return tiny_backbone(tmp_path / "tiny")


def images(count=3, size=32, seed=0):
    return torch.rand(count, size, size, 3, generator=torch.Generator().manual_seed(seed))


def features(network, x):
    with torch.inference_mode():
        return network(x)


def change_weights(folder, change):
    file = folder / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})


@pytest.mark.parametrize("kind", TAKEN)
def test_every_kind_is_loaded_described_and_built_again(tmp_path, kind):
    pretrained = load_backbone(tiny_backbone(tmp_path / kind, kind))
    x = images()
    made = features(pretrained.network, x)
    assert made.shape == (3, pretrained.backbone.features)
    assert torch.isfinite(made).all()
    assert made.std() > 0
    again = build_backbone(from_plain(json.loads(json.dumps(to_plain(pretrained.backbone))), Backbone))
    again.load_state_dict(pretrained.network.state_dict())
    # where tensors lie in memory decides which kernels are taken, so not to the bit
    torch.testing.assert_close(features(again, x), made, rtol=1e-5, atol=1e-5)
    with torch.device("meta"):  # a bundle looks at shapes before it makes room for them
        assert build_backbone(pretrained.backbone).state_dict().keys() == again.state_dict().keys()


def test_there_is_a_small_one_of_every_kind():
    assert set(TINY) == set(TAKEN)


def test_features_are_those_of_transformers(folder):
    from transformers import AutoModel

    x = images()
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.3])
    with torch.inference_mode():
        theirs = AutoModel.from_pretrained(folder).eval()(((x - mean) / std).permute(0, 3, 1, 2)).pooler_output
    assert torch.allclose(features(load_backbone(folder).network, x), theirs.flatten(1), atol=1e-6)


@pytest.mark.parametrize("kind", ["resnet", "efficientnet", "mobilenet_v2", "regnet", "levit", "vit"])
def test_folded_normalisation_moves_no_feature(tmp_path, kind):
    network = load_backbone(tiny_backbone(tmp_path / kind, kind)).network
    lighter, x = folded(network, images(1)), images(4, seed=1)
    expected = features(network, x)
    assert (lighter is network) == (kind in ("vit",))
    assert (features(lighter, x) - expected).abs().max() <= EXACT * expected.abs().max()


def test_its_moments_stay_what_they_are(folder):
    network = load_backbone(folder).network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network(images())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_it_is_known_by_its_content(folder, tmp_path):
    first = load_backbone(folder)
    moved = load_backbone(folder.rename(tmp_path / "another name"))
    other = load_backbone(tiny_backbone(tmp_path / "other", seed=1))
    assert moved.backbone.name == "another name"
    assert moved.backbone.identity() == first.backbone.identity() != other.backbone.identity()
    assert moved.fingerprint == first.fingerprint != other.fingerprint


def test_torchs_generator_is_left_alone(folder):
    before = torch.random.get_rng_state()
    build_backbone(load_backbone(folder).backbone)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda w: w.pop("encoder.stages.0.layers.0.layer.0.convolution.weight"), "lack encoder.stages.0"),
        (lambda w: w.update({"encoder.more.weight": torch.zeros(2)}), "encoder.more.weight is no part"),
        (lambda w: w["embedder.embedder.convolution.weight"].fill_(torch.nan), "not finite"),
        (lambda w: w.update({"embedder.embedder.convolution.weight": torch.zeros(8, 3, 3, 3)}), "cannot be loaded"),
    ],
)
def test_weights_that_do_not_fit_are_refused(folder, change, expected):
    change_weights(folder, change)
    with pytest.raises(DataError, match=expected):
        load_backbone(folder)


def test_a_published_head_is_left_out(folder):
    change_weights(folder, lambda w: w.update({"classifier.1.weight": torch.zeros(5, 16)}))
    assert load_backbone(folder).backbone.features == 16


def test_a_pooler_that_was_never_trained_is_left_out(tmp_path):
    folder = tiny_backbone(tmp_path / "vit", "vit")
    pooled = load_backbone(folder)
    change_weights(folder, lambda w: [w.pop(name) for name in list(w) if name.startswith("pooler.")])
    plain = load_backbone(folder)
    assert plain.backbone.config["add_pooling_layer"] is False
    assert plain.backbone.features == pooled.backbone.features
    again = build_backbone(plain.backbone)
    again.load_state_dict(plain.network.state_dict())
    assert torch.equal(features(again, images()), features(plain.network, images()))


def test_the_half_that_looks_at_images_is_taken(tmp_path):
    folder = tiny_backbone(tmp_path / "siglip", "siglip_vision_model")
    vision = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({"model_type": "siglip", "vision_config": vision, "text_config": {}})
    )
    change_weights(folder, lambda w: w.update({"text_model.head.weight": torch.zeros(2), "logit_scale": torch.ones(1)}))
    assert load_backbone(folder).backbone.config["model_type"] == "siglip_vision_model"


def test_the_form_may_be_within_another_file(folder):
    expected = load_backbone(folder).backbone
    written = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": written}))
    assert load_backbone(folder).backbone == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model_type": "bert"}, "expected a vision network"),
        ({"model_type": "vit_mae"}, "expected a vision network"),
        ({"model_type": ["vit"]}, "expected a vision network"),
        ({"hidden_sizes": "many"}, "cannot be loaded"),
        ({"auto_map": {"AutoModel": "evil.Network"}, "model_type": "evil"}, "expected a vision network"),
    ],
)
def test_another_config_is_refused(folder, changes, expected):
    written = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**written, **changes}))
    with pytest.raises(DataError, match=expected):
        load_backbone(folder)


def test_code_that_a_folder_brings_is_never_run(folder):
    written = json.loads((folder / "config.json").read_text())
    remote = {"AutoConfig": "evil.Config", "AutoModel": "evil.Network"}
    (folder / "config.json").write_text(json.dumps({**written, "auto_map": remote, "_attn_implementation": "a/b"}))
    (folder / "evil.py").write_text("raise SystemExit('code was run')")
    assert not {"auto_map", "_attn_implementation"} & load_backbone(folder).backbone.config.keys()


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_what_is_missing_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        load_backbone(folder)


def test_pickled_weights_are_not_read(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(DataError, match="No other kind of weights"):
        load_backbone(folder)


def test_nothing_is_asked_of_the_network_for_a_folder(folder, monkeypatch):
    import socket

    def refused(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refused)
    load_backbone(folder)


@pytest.mark.parametrize("source", ["/nowhere/at/all", "nothing", "../up/and/away"])
def test_what_is_neither_folder_nor_name_is_refused(source):
    with pytest.raises(DataError, match="no folder"):
        load_backbone(source)


@pytest.mark.filterwarnings("ignore")
def test_a_hub_that_cannot_be_reached_is_said_once(monkeypatch, tmp_path):
    import huggingface_hub

    def refused(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refused)
    with pytest.raises(DataError, match="cannot be reached: no route to host"):
        load_backbone("owner/name")


def test_a_name_on_the_hub_is_pinned_to_its_commit(folder, monkeypatch, tmp_path):
    import huggingface_hub

    commit = "0123456789abcdef0123456789abcdef01234567"
    asked = []

    def downloaded(name, revision, allow_patterns):
        asked.append((name, revision))
        return str(folder.rename(tmp_path / commit))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", downloaded)
    backbone = load_backbone("owner/name@v1").backbone
    assert asked == [("owner/name", "v1")]
    assert (backbone.name, backbone.revision) == ("owner/name", commit)


def test_without_transformers_the_extra_is_named(folder, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*\[pretrained\]'"):
        load_backbone(folder)


@pytest.mark.parametrize("name", ["efficientnet-lite0-in1k", "mobilenet-v2-1.0-224-in1k"])
def test_real_ones(backbones, name):
    pretrained = load_backbone(backbones / name)
    x = images(2, 224)
    made = features(pretrained.network, x)
    assert made.shape == (2, 1280)
    lighter = folded(pretrained.network, x[:1])
    assert lighter is not pretrained.network
    assert float((features(lighter, x) - made).abs().max()) < 1e-4
