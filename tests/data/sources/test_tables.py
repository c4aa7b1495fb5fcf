"""Habits of tables: what is read, what is asked, and what the question says."""

from __future__ import annotations

import json

import pytest

from tagfit.data.sources.read import read
from tagfit.errors import DataError
from tagfit.records.data import NO, PARTS, UNKNOWN, YES

NAMES = [f"{number:03}.jpg" for number in range(12)]
TAGS = ["beach;sea", "sea", "beach;people", "people;sea", "beach", "sea;people"]
TAGS += ["beach;sea;people", "people", "sea", "beach", "people;beach", "sea"]


def table(cells, head="image,labels"):
    return head + "\n" + "".join(f"{name},{cell}\n" for name, cell in zip(NAMES, cells, strict=False))


def tags_by_image(found):
    rows = zip(found.sample_names, found.labels_NL, strict=True)
    return {
        name: {label for label, code in zip(found.label_names, row, strict=True) if code == YES} for name, row in rows
    }


RIGHT = {name: set(tags.split(";")) for name, tags in zip(NAMES, TAGS, strict=True)}


# -------------------------------------------------------------------------------------------- separators


@pytest.mark.parametrize(
    "form",
    [
        lambda tags: tags,
        lambda tags: tags.replace(";", " "),
        lambda tags: f'"{tags.replace(";", ", ")}"',
        lambda tags: f'"{tags.split(";")}"',
        lambda tags: f'"[{" ".join(repr(tag) for tag in tags.split(";"))}]"',
        lambda tags: f'"[{tags.replace(";", ", ")}]"',
        lambda tags: f'"{{{tags.replace(";", ",")}}}"',
    ],
    ids=["semicolon", "space", "comma", "python", "numpy", "bare", "postgres"],
)
def test_lists_in_every_form(folder, form):
    assert tags_by_image(read(folder(*NAMES, l_csv=table(map(form, TAGS))))) == RIGHT


@pytest.mark.parametrize("joint", ["/", " + ", " and ", "&", ". "])
def test_other_signs_are_a_question(folder, faults, joint):
    where = folder(*NAMES, l_csv=table(tags.replace(";", joint) for tags in TAGS))
    found = faults(read, where)
    assert "may separate labels or belong to their names" in found[0]
    assert tags_by_image(read(where, label_separator=joint)) == RIGHT


def test_words_that_recur_in_the_same_place_are_a_question(folder, faults):
    colours = [f"{shade} {colour}" for shade in ("light", "dark") for colour in ("blue", "green", "red")]
    where = folder(*NAMES, l_csv=table([*colours, "blue", "green", "red", *colours[:3]]))
    assert "a space may separate labels" in faults(read, where)[0]
    assert "light blue" in read(where, label_separator=";").label_names


def test_an_odd_cell_is_named(folder, faults):
    where = folder(*NAMES, l_csv=table([*TAGS[:11], "sea beach"]))
    assert faults(read, where)[0].startswith("l.csv:13: 'sea beach' holds a space, while other cells")
    assert "sea beach" in read(where, label_separator=";").label_names


def test_sentences_are_no_labels(folder, faults):
    cells = [
        f"the {one} on a {other}" for one in ("dog", "cat", "boat") for other in ("beach", "hill", "sea", "street")
    ]
    assert "look like sentences" in faults(read, folder(*NAMES, l_csv=table(cells)))[0]


# ------------------------------------------------------------------------------------------------- roles


@pytest.mark.parametrize(
    ("head", "cells", "named"),
    [
        ("image,contents", TAGS, ["contents"]),
        ("image,scene", ["a", "b", "c"] * 4, ["scene"]),
        ("image,outdoor", [0, 1] * 6, ["outdoor", "only one column"]),
        ("image,category,attributes", [f"a,{tags}" for tags in TAGS], ["category", "attributes"]),
        ("image,class,wet,dry", [f"{'ab'[n % 2]},{n % 2},{n // 2 % 2}" for n in range(12)], ["class", "wet", "dry"]),
        ("image,p,q", [f"0.{n + 1},0.{12 - n}" for n in range(12)], ["'p'", "'0.1'"]),
        ("image,Classes,beach,sea", [f"{tags.replace(';', ' ')},1,1" for tags in ["beach sea", "sea"] * 6], [":3"]),
    ],
)
def test_more_than_one_reading_is_a_question(folder, faults, head, cells, named):
    text = "\n".join(faults(read, folder(*NAMES, l_csv=table(cells, head))))
    for words in (*named, "--label-column"):
        assert words in text


def test_what_is_no_label_is_told(folder):
    rows = [f"{n % 2},{n // 2 % 2},{n % 3},{['sun', 'rain'][n % 2]},{n % 2}" for n in range(12)]
    found = read(folder(*NAMES, l_csv=table(rows, "image,beach,sea,fold,weather,occluded")))
    assert found.label_names == ("beach", "sea")
    assert "Kept as metadata, not as labels: fold, weather, occluded." in found.reading
    assert any("numbers folds" in line for line in found.reading)


def test_two_columns_of_images_are_a_question(folder, faults):
    pairs = [f"l{name},r{name}" for name in NAMES]
    names = [name for pair in pairs for name in pair.split(",")]
    text = "left,right,tags\n" + "".join(f"{pair},{tags}\n" for pair, tags in zip(pairs, TAGS, strict=True))
    where = folder(*names, l_csv=text)
    assert "several columns name images: left, right" in faults(read, where)[0]
    assert read(where, image_column="right").sample_names[0] == "r000.jpg"


@pytest.mark.parametrize(
    ("head", "part"),
    [
        ("set", lambda n: ["train", "val", "test"][n // 4]),
        ("phase", lambda n: ["Training", "Validation", "Testing"][n // 4]),
        ("partition", lambda n: [0, 0, 1, 2][n // 3]),
        ("is_train", lambda n: int(n < 8)),
        ("is_valid", lambda n: n > 8),
    ],
)
def test_splits_that_people_have(folder, head, part):
    rows = [f"{tags},{part(number)}" for number, tags in enumerate(TAGS)]
    found = read(folder(*NAMES, l_csv=table(rows, f"image,tags,{head}")))
    assert found.given_split[0] == 0
    assert found.given_split[-1] != 0
    assert f"The split is column {head!r}." in found.reading


def test_a_column_called_train_may_be_a_vehicle(folder):
    rows = [f"{n % 2},{n // 2 % 2},{int(n == 3)}" for n in range(12)]
    found = read(folder(*NAMES, l_csv=table(rows, "image,bus,car,train")))
    assert found.label_names == ("bus", "car", "train")
    assert found.given_split is None


# --------------------------------------------------------------------------------------------- blank and none


def test_blank_rows(folder, faults):
    half = folder(*NAMES, l_csv=table(["beach", ""] * 6))
    found = faults(read, half)
    assert "6 of 12 samples (50%) are blank" in found[0]
    assert "--blank-is unlabelled" in found[1]
    assert len(read(half, blank_is="no")) == 12
    few = read(half, blank_is="unlabelled")
    assert (len(few), len(few.unlabelled)) == (6, 6)
    one = read(folder(*NAMES, l_csv=table(["beach", *TAGS[1:11], ""])))
    assert "1 sample without an entry: read as having none of the labels." in one.reading
    none = read(folder(*NAMES, l_csv=table(["none", *TAGS[1:11], ""])))
    assert (len(none), len(none.unlabelled)) == (11, 1)
    assert not tags_by_image(none)["000.jpg"]


def test_a_word_for_none(folder, faults):
    where = folder(*NAMES, l_csv=table(["empty", *TAGS[1:]]))
    assert "empty" in read(where).label_names
    assert "empty" not in read(where, none_is="Empty").label_names
    assert "no cell is 'nil'" in faults(read, where, none_is="nil")[0]


def test_yes_or_blank(folder, faults):
    where = folder(*NAMES, l_csv=table([["1,", ",1", "1,1"][n % 3] for n in range(12)], "image,a,b"))
    assert "written as yes or left blank, never as no" in "".join(faults(read, where))
    assert set(read(where, blank_is="unlabelled").labels_NL.ravel().tolist()) == {YES, UNKNOWN}
    assert set(read(where, blank_is="no").labels_NL.ravel().tolist()) == {YES, NO}


def test_never_no_is_told_by_part(folder):
    rows = [f"{['1', ''][n % 2]},{n // 2 % 2},{'train' if n < 8 else 'val'}" for n in range(10)]
    rows += ["0,1,val", "1,0,val"]
    found = read(folder(*NAMES, l_csv=table(rows, "image,No Finding,Edema,split")))
    assert [note for note in found.notes if note.startswith("Never no")] == [
        "Never no in the train part, only yes or unknown: No Finding. No sample there is without them."
    ]


# ------------------------------------------------------------------------------------------------ long form


def test_rows_of_one_image_and_label(folder, faults):
    pairs = [(name, tag) for name, tags in RIGHT.items() for tag in sorted(tags)]
    text = "image,label\n" + "".join(f"{name},{tag}\n" for name, tag in pairs)
    assert tags_by_image(read(folder(*NAMES, l_csv=text))) == RIGHT
    verified = text.replace("image,label", "image,label,value").replace("\n", ",1\n").replace("value,1", "value")
    found = read(folder(*NAMES, l_csv=f"{verified}001.jpg,people,0\n"))
    assert dict(zip(found.label_names, found.labels_NL[1].tolist(), strict=True)) == {
        "beach": -1,
        "people": 0,
        "sea": 1,
    }
    scored = text.replace("image,label", "image,label,score").replace("\n", ",0.5\n").replace("score,0.5", "score")
    assert "which numbers mean" in faults(read, folder(*NAMES, l_csv=scored))[0]
    people = "image,label,annotator\na,x,anna\na,y,ben\nb,x,anna\n"
    assert "several people" in faults(read, folder("a.jpg", "b.jpg", l_csv=people))[0]


# ------------------------------------------------------------------------------------------------ headers


def test_headers(folder, faults):
    listed = "".join(f"{name},{tags}\n" for name, tags in zip(NAMES, TAGS, strict=True))
    where = folder(*NAMES, l_csv=listed)
    assert "no header line" in faults(read, where)[0]
    assert tags_by_image(read(where, header="none", label_column="column 2")) == RIGHT
    for head in (
        "# made by hand\nimage,labels\n",
        "#image,labels\n",
        "sep=,\nimage,labels\n",
        "Labels 2024,\nimage,labels\n",
    ):
        assert tags_by_image(read(folder(*NAMES, l_csv=head + listed))) == RIGHT
    assert tags_by_image(read(folder(*NAMES, l_csv=f"image,labels\n{listed}".encode("utf-16")))) == RIGHT


def test_options_that_name_nothing(folder, faults):
    where = folder(*NAMES, l_csv=table(TAGS))
    assert "Did you mean 'labels'?" in faults(read, where, label_column="label")[0]
    assert "no image name begins with 'x'" in faults(read, where, strip_prefix="x")[0]
    assert "label names were given" not in "".join(read(where, label_names=["sea", "beach", "people"]).notes)
    assert "not among the label names" in faults(read, where, label_names=["sea", "beach"])[0]


# --------------------------------------------------------------------------------------- beside the labels


def test_official_splits_beside_the_labels(folder):
    lists = {"train_val_list_txt": "\n".join(NAMES[:8]), "test_list_txt": "\n".join(NAMES[8:])}
    where = folder(*NAMES, labels_csv=table(TAGS))
    for name, text in lists.items():
        (where / f"{name[:-4]}.txt").write_text(text)
    assert [PARTS[code] for code in read(where).given_split] == ["train"] * 8 + ["test"] * 4
    for name in lists:
        (where / f"{name[:-4]}.txt").unlink()
    (where / "split.json").write_text(json.dumps({"train": NAMES[:6], "val": NAMES[6:9], "test": NAMES[9:]}))
    assert read(where).given_split.tolist() == [0] * 6 + [1] * 3 + [3] * 3
    (where / "split.json").unlink()
    parts = "".join(f"{name},{[0, 0, 1, 2][number // 3]}\n" for number, name in enumerate(NAMES))
    (where / "partition.csv").write_text(f"image_id,partition\n{parts}")
    found = read(where)
    assert found.given_split.tolist() == [0] * 6 + [1] * 3 + [3] * 3
    assert "The split is read from partition.csv." in found.reading
    assert not any("partition.csv" in note for note in found.notes)


def test_the_files_of_a_competition(folder):
    where = folder(*NAMES, train_csv=table(TAGS[:8]), test_csv="image\n" + "\n".join(NAMES[8:]))
    (where / "sample_submission.csv").write_text("image,labels\n" + "".join(f"{name},sea\n" for name in NAMES[8:]))
    found = read(where)
    assert (len(found), len(found.unlabelled)) == (8, 4)
    assert "No sample of the test part has labels: that part is unlabelled and left out." in found.reading


def test_pieces_of_lists_in_an_unknown_notation_are_no_labels(folder, faults):
    cells = ("\"'sea', 'beach'\"", "\"vec(['sea', 'beach'])\"")
    for cell in cells:
        where = folder(*NAMES[:3], labels_csv=f"image,labels\n{NAMES[0]},{cell}\n{NAMES[1]},sea\n{NAMES[2]},beach\n")
        assert "would be read as a label" in "".join(faults(read, where)), cell


def test_a_word_for_unlabelled_is_no_label_and_not_none(folder):
    tags = ["sea", "unlabeled", "sea;beach", "", "beach", "sea"]
    where = folder(*NAMES[:6], labels_csv=table(tags))
    found = read(where)
    assert (found.label_names, len(found), len(found.unlabelled)) == (("beach", "sea"), 4, 2)


def test_numbers_of_images_and_other_extensions(folder, faults):
    where = folder("0007.jpg", "0017.jpg", "0027.jpg", labels_csv="ID,age,tags\n7,17,sea\n17,7,beach\n27,27,sea\n")
    assert [file.name for file in read(where).files] == ["0007.jpg", "0017.jpg", "0027.jpg"]
    (where / "labels.csv").write_text("image,tags\n0007.tif,sea\n0017.png,beach\n0027.jpg,sea\n")
    assert "2 images were found by the end of their names: '0007.tif' is '0007.jpg'." in read(where).reading
    (where / "labels.csv").write_text("age,tags\n7,sea\n17,beach\n27,sea\n")
    assert faults(read, where)  # numbers name images only in a column that is called so


def test_numbers_of_classes_beside_their_names(folder):
    numbered = [f"{['beach', 'people', 'sea'].index(tags.split(';')[0])},{tags.split(';')[0]}" for tags in TAGS]
    found = read(folder(*NAMES, labels_csv=table(numbered, "image,label,label_name")))
    assert (found.label_names, list(found.metadata)) == (("beach", "people", "sea"), ["label"])


def test_texts_beside_images_with_spaces_between_tags(folder, faults):
    where = folder(*NAMES)
    for name, tags in zip(NAMES, TAGS, strict=True):
        (where / f"{name[:-4]}.txt").write_text(tags.replace(";", " "))
    assert tags_by_image(read(where)) == RIGHT
    for name, tags in zip(NAMES, TAGS, strict=True):
        (where / f"{name[:-4]}.txt").write_text(tags.replace(";", "+"))
    assert "'+' may separate labels" in "".join(faults(read, where))
    assert tags_by_image(read(where, label_separator="+")) == RIGHT


def test_labels_with_scores_are_asked_for(folder, faults):
    scored = [";".join(f"{tag}:0.{number}" for tag in tags.split(";")) for number, tags in enumerate(TAGS)]
    assert "labels have scores" in "".join(faults(read, folder(*NAMES, labels_csv=table(scored))))


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (("A dog runs through snow.", "Two children play outside.", "The sea lies still today."), "Sentences are no"),
        (("5", "0", "3"), "Ratings and other numbers are not labels"),
    ],
)
def test_what_is_no_label_yet_is_not_offered_as_one(folder, cells, said):
    with pytest.raises(DataError, match=said) as caught:
        read(folder(*NAMES, l_csv=table(cells, "image,mood")))
    assert "--label-column" not in str(caught.value)


def test_a_last_row_of_numbers_below_blank_cells_is_a_sample(folder):
    rows = [f",{number},{number % 2},{number % 3 % 2}" for number in range(1, 8)]
    where = folder(*(f"{number}.jpg" for number in range(1, 8)), l_csv="\n".join(["remark,image,boat,sea", *rows]))
    assert len(read(where)) == 7
