"""Image paths: found, confined to their folder, and never opened."""

from __future__ import annotations

import pytest

from tagfit.data.sources.read import read


def table_of(*names: str) -> str:
    return "image,tags\n" + "".join(f'"{name}",sea\n' for name in names)


def test_paths_start_at_the_label_file_or_at_images(folder, tmp_path):
    where = folder("deep/a.jpg", l_csv=table_of("deep/a.jpg"), m_csv=table_of("a.jpg"))
    assert read(where / "l.csv").files == (tmp_path / "deep" / "a.jpg",)
    assert read(where / "m.csv", images=where / "deep").files == (tmp_path / "deep" / "a.jpg",)
    assert read(where / "m.csv", images=str(where / "deep")).sample_names == ("a.jpg",)


def test_backslashes_are_slashes(folder, tmp_path):
    table = read(folder("deep/a.jpg", l_csv=table_of("deep\\a.jpg")))
    assert table.files == (tmp_path / "deep" / "a.jpg",)
    assert table.sample_names == ("deep\\a.jpg",)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../a.jpg", "leaves"),
        ("x/../../a.jpg", "leaves"),
        ("..", "leaves"),
        ("/etc/passwd", "absolute"),
        ("C:\\a.jpg", "absolute"),
        ("\\\\host\\share\\a.jpg", "absolute"),
        ("b.jpg", "does not exist"),
        ("no/a.jpg", "does not exist"),
        ("A.JPG", "Did you mean 'a.jpg'?"),
        ("deep", "not a file"),
        ("a.jpg/b", "does not exist"),
        (" ", "empty"),
        ("a\x01.jpg", "control"),
    ],
)
def test_names_that_cannot_be_used(folder, faults, name, message):
    found = faults(read, folder("a.jpg", "deep/a.jpg", l_csv=table_of("a.jpg", name)))
    assert len(found) == 2
    assert found[0].startswith("l.csv:3: image ")
    assert message in found[0]
    assert "--images" in found[1]


def test_symbolic_links_may_not_lead_out(folder, faults, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "a.jpg").touch()
    names = ("in/a.jpg", "file.jpg", "dir/a.jpg", "good.jpg", "goods/a.jpg", "gone.jpg", "loop.jpg", "loop.jpg/a.jpg")
    where = folder("in/a.jpg", l_csv=table_of(*names))
    (where / "file.jpg").symlink_to(outside / "a.jpg")
    (where / "dir").symlink_to(outside)
    (where / "good.jpg").symlink_to(where / "in" / "a.jpg")
    (where / "goods").symlink_to(where / "in")
    (where / "gone.jpg").symlink_to(where / "nothing.jpg")
    (where / "loop.jpg").symlink_to(where / "loop.jpg")
    found = faults(read, where)
    assert [fault.split(" image ")[0] for fault in found[:-1]] == [f"l.csv:{line}:" for line in (3, 4, 7, 8, 9)]
    assert "symbolic link" in found[0]
    assert "symbolic link" in found[1]
    assert "not a file" in found[2]


def test_a_data_folder_that_is_a_link_itself(folder, tmp_path_factory):
    where = folder("a.jpg", l_csv=table_of("a.jpg"))
    link = tmp_path_factory.mktemp("links") / "link"
    link.symlink_to(where)
    assert len(read(link)) == 1


def test_images_that_the_table_does_not_name_are_counted(folder):
    table = read(folder("a.jpg", "b.jpg", "c.PNG", "notes.md", ".hidden.jpg", l_csv=table_of("a.jpg")))
    assert table.notes == ("2 images beside the labelled ones are not in l.csv and are left out.",)


def test_a_missing_folder_of_images(folder, faults):
    assert "does not exist" in faults(read, folder(l_csv=table_of("a.jpg")), images="/no/such")[0]


def test_long_names_are_cut_in_messages(folder, faults):
    assert len(faults(read, folder("a.jpg", l_csv=table_of("x" * 5000)))[0]) < 200
