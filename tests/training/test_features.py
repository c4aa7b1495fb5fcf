import time
from contextlib import closing

import numpy as np
import pytest
import torch

from making import scenes, tiny_backbone
from tagfit.errors import DataError
from tagfit.images.known_features import KnownFeatures
from tagfit.models.backbones import load_backbone
from tagfit.training.features import Extractor, evened

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return load_backbone(tiny_backbone(tmp_path_factory.mktemp("tiny") / "resnet"))


def digests(count):
    return [bytes([number] * 32) for number in range(count)]


def expected(pretrained, x):
    with torch.inference_mode():
        return evened(pretrained.network(torch.from_numpy(x).float() / 255).numpy())


def test_features_are_those_of_the_network(pretrained):
    x = scenes(11, size=32)
    threads = torch.get_num_threads()
    np.testing.assert_allclose(Extractor(pretrained, CPU).features(x), expected(pretrained, x), atol=1e-4)
    assert Extractor(pretrained, CPU).features(x[:0]).shape == (0, 16)
    assert torch.get_num_threads() == threads


def test_each_image_is_looked_at_once(pretrained, monkeypatch):
    x, extractor = scenes(9, size=32), Extractor(pretrained, CPU)
    seen = []
    look = extractor.raw
    monkeypatch.setattr(extractor, "raw", lambda images: seen.append(len(images)) or look(images))
    told = []
    for count in (5, 9):
        with closing(KnownFeatures(pretrained.fingerprint, 16)) as known, extractor.looking(known) as looking:
            looking.at(digests(9)[0], x[0])  # as it is decoded
            found = looking.features(x[:count], digests(count), lambda *progress: told.append(progress))
        np.testing.assert_allclose(found, expected(pretrained, x[:count]), atol=1e-4)
        assert sum(seen) == count
    assert told[-1] == (9, 9)


def test_copies_are_looked_at_once(pretrained, monkeypatch):
    x, extractor = scenes(2, seed=3, size=32)[[0, 1, 0]], Extractor(pretrained, CPU)
    with closing(KnownFeatures("c" * 64, 16)) as known, extractor.looking(known) as looking:
        found = looking.features(x, [b"x" * 32, b"y" * 32, b"x" * 32])
    assert (found[0] == found[2]).all()
    assert (found[0] != found[1]).any()


def test_a_failure_in_a_thread_is_raised(pretrained, monkeypatch):
    extractor = Extractor(pretrained, CPU)
    monkeypatch.setattr(extractor, "_network", lambda x: torch.full((len(x), 16), torch.nan))
    with pytest.raises(DataError, match="not finite"):
        extractor.features(scenes(200, size=32))


def test_stopping_leaves_what_was_made(pretrained):
    x, extractor = scenes(40, seed=5, size=32), Extractor(pretrained, CPU)

    def stop(done, total):
        if done == 30:
            until = time.monotonic() + 60
            while made(known) < 8 and time.monotonic() < until:
                time.sleep(0.01)
            raise KeyboardInterrupt

    def made(known):
        return sum(digest in known for digest in digests(40))

    with (
        pytest.raises(KeyboardInterrupt),
        closing(KnownFeatures("d" * 64, 16)) as known,
        extractor.looking(known) as looking,
    ):
        looking.features(x, digests(40), stop)
    with closing(KnownFeatures("d" * 64, 16)) as known:
        assert made(known) >= 8


def test_evened_features_are_signed_roots_of_one_length():
    x = np.array([[4, -9, 0, 1], [0, 0, 0, 0], [400, -900, 0, 100]], np.float32)
    found = evened(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], np.array([2, -3, 0, 1]) / np.sqrt(7), rtol=1e-6)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-6)
    assert (found[1] == 0).all()
