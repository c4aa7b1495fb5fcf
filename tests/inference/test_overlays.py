import pytest

from tagfit.errors import OutputError
from tagfit.inference.overlays import overlay_folder


def test_links_that_lead_in_a_circle_and_folders_without_end_are_no_tracebacks(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with overlay_folder(tmp_path / "maps", [tmp_path / "loop"], tmp_path / "bundle"):
        pass
    deep = tmp_path.joinpath(*["a"] * 1500)
    with pytest.raises(OutputError, match=r"too many folders|cannot be written"), overlay_folder(deep, [], tmp_path):
        pass
