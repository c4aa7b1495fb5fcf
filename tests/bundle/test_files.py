import pytest

from tagfit.bundle.files import find_bundle
from tagfit.errors import BundleError


def test_a_run_serves_wherever_a_bundle_is_asked(tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_text("{}")
    assert find_bundle(tmp_path) == find_bundle(tmp_path / "bundle") == tmp_path / "bundle"


@pytest.mark.parametrize(("name", "expected"), [("nowhere", "no such folder"), ("", "expected a bundle")])
def test_what_is_no_bundle(name, expected, tmp_path):
    with pytest.raises(BundleError, match=expected):
        find_bundle(tmp_path / name)


def test_a_run_that_is_still_in_training_is_called_that(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(BundleError, match="no result yet: it is still in training, or"):
        find_bundle(tmp_path)
