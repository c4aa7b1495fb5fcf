from making import save_tagged, xmp_packet
from tagfit.data.sources.keywords import images_in, keywords_of
from tagfit.data.sources.listing import Listing
from tagfit.images.xmp import MAX_BYTES, MachineTag, machine_tags, xmp_keywords
from tagfit.inference.rows import PredictedRow
from tagfit.inference.sidecars import SidecarWriter, take_back

WHEN = "2026-11-30T08:00:00+00:00"


def writer(refused, **options):
    return SidecarWriter("cnn, lock abc", WHEN, refused.append, **options)


def read_back(folder):
    return {image.file.name: keywords_of(image, machine=True)[1] for image in images_in(Listing(folder))}


def test_labels_join_the_keywords_that_are_there_and_nothing_else_changes(tmp_path):
    for name in ("none.png", "full.jpg", "stem.jpg", "twin.jpg", "twin.png", "tree.jpg", "evil.jpg", "same.jpg"):
        save_tagged(tmp_path / name)
    save_tagged(tmp_path / "inside.jpg", xmp=xmp_packet(subject=["sea"]))
    (tmp_path / "full.jpg.xmp").write_bytes(xmp_packet(subject=["boat"]))
    (tmp_path / "stem.xmp").write_bytes(xmp_packet(subject=["boat"]))
    (tmp_path / "tree.xmp").write_bytes(xmp_packet(lightroom=["Places|Beach"]))
    (tmp_path / "same.xmp").write_bytes(xmp_packet(subject=["red"]))
    (tmp_path / "evil.xmp").write_bytes(b"<!DOCTYPE x>" + xmp_packet())
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    rows = [PredictedRow(str(file), ("red",), {"red": 1.0}) for file in sorted(tmp_path.glob("*.*g"))]
    refused = []
    lines = [writer(refused).planned(row) for row in rows]
    assert f"{tmp_path / 'inside.xmp'} (new): + sea, red" in lines
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    refused.clear()
    assert list(writer(refused).written(rows)) == rows
    assert len(refused) == 1
    assert "evil.xmp has a document type" in refused[0]
    after = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    changed = {name for name in after if after[name] != before.get(name)}
    new = {"none.xmp", "inside.xmp", "twin.jpg.xmp", "twin.png.xmp"}
    assert changed == {*new, "full.jpg.xmp", "stem.xmp", "tree.xmp"}
    (tmp_path / "evil.xmp").unlink()
    assert read_back(tmp_path) == {
        **{name: ["red"] for name in ("none.png", "twin.jpg", "twin.png", "same.jpg")},
        "full.jpg": ["boat", "red"],
        "stem.jpg": ["boat", "red"],
        "tree.jpg": ["Beach", "red"],
        "inside.jpg": ["sea", "red"],
        "evil.jpg": [],
    }
    again = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    list(writer(refused).written(rows))
    assert {name: content for name, content in again.items() if after.get(name) == content} == again


def tagged(folder):
    """Images as people have them: with a sidecar, with keywords inside, with a tree of keywords, with nothing."""
    for name in ("none.jpg", "full.jpg", "tree.jpg"):
        save_tagged(folder / name)
    save_tagged(folder / "inside.jpg", xmp=xmp_packet(subject=["sea"]))
    (folder / "full.xmp").write_bytes(xmp_packet(subject=["boat", "höhe & <tief>"]))
    (folder / "tree.xmp").write_bytes(xmp_packet(lightroom=["Places|Beach"]))
    return [PredictedRow(str(file), ("red",), {"red": 0.8, "sea": 0.1}) for file in sorted(folder.glob("*.jpg"))]


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_what_a_model_wrote_is_marked_and_is_no_label_unless_that_is_asked_for(tmp_path):
    rows, refused = tagged(tmp_path), []
    sidecars = writer(refused)
    list(sidecars.written(rows))
    assert sidecars.counts.line("added to") == "6 keywords added to 4 sidecars"
    for sidecar in tmp_path.glob("*.xmp"):
        assert machine_tags(sidecar.read_bytes()) == [MachineTag("red", "cnn, lock abc", WHEN)]
        assert "red" in xmp_keywords(sidecar.read_bytes())
    own = {image.file.name: keywords_of(image)[1] for image in images_in(Listing(tmp_path))}
    assert own == {"none.jpg": [], "full.jpg": ["boat", "höhe & <tief>"], "tree.jpg": ["Beach"], "inside.jpg": ["sea"]}
    assert all("red" in keywords for keywords in read_back(tmp_path).values())
    assert b"Places|Beach" in (tmp_path / "tree.xmp").read_bytes()
    assert not refused


def test_what_a_model_wrote_is_taken_back_to_the_byte(tmp_path):
    rows, refused = tagged(tmp_path), []
    before = contents(tmp_path)
    list(writer(refused).written(rows))
    marked = contents(tmp_path)
    files = sorted(tmp_path.glob("*.jpg"))
    *lines, counts = take_back(files, refused.append, dry=True)
    assert len(lines) == 4
    assert contents(tmp_path) == marked
    *_, counts = take_back(files, refused.append, dry=False)
    assert counts.line("taken back from") == "4 keywords taken back from 4 sidecars"
    left = contents(tmp_path)
    assert left.keys() == before.keys()  # sidecars that were made for them are gone
    assert {name for name in left if left[name] != before[name]} == {"tree.xmp"}
    # its plain form of the last name of the tree was a person's keyword, and stays
    assert xmp_keywords(left["tree.xmp"], plain_only=True) == ["Beach"]
    assert not refused


def test_a_persons_own_keyword_is_never_marked_and_never_taken_back(tmp_path):
    save_tagged(tmp_path / "a.jpg")
    (tmp_path / "a.xmp").write_bytes(xmp_packet(subject=["red"]))
    before, refused = contents(tmp_path), []
    list(writer(refused).written([PredictedRow(str(tmp_path / "a.jpg"), ("red",), {"red": 1.0})]))
    list(take_back([tmp_path / "a.jpg"], refused.append, dry=False))
    assert contents(tmp_path) == before
    assert not refused


def test_low_scores_and_labelled_images_can_be_left_out(tmp_path):
    rows, refused = tagged(tmp_path), []
    before = contents(tmp_path)
    sidecars = writer(refused, least=0.9)
    list(sidecars.written(rows))
    assert contents(tmp_path) == before
    assert sidecars.counts.line("added to") == "0 keywords added to 0 sidecars; 4 images without a label"
    list(writer(refused, only_unlabelled=True).written(rows))
    assert contents(tmp_path).keys() - before.keys() == {"none.xmp"}
    assert {name for name in before if contents(tmp_path)[name] != before[name]} == set()


def test_a_sidecar_without_end_is_not_read_to_take_keywords_back(tmp_path):
    save_tagged(tmp_path / "a.jpg")
    with (tmp_path / "a.xmp").open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    refused = []
    *lines, _ = take_back([tmp_path / "a.jpg"], refused.append, dry=False)
    assert lines == []
    assert "larger than 16 MB" in refused[0]
