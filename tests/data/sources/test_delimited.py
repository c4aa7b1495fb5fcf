"""Delimited text: forms, encodings, and each fault by file and line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagfit.data.sources.listed import is_none
from tagfit.data.sources.read import read
from tagfit.errors import DataError
from tagfit.records.data import NO, PARTS, UNKNOWN, YES

LISTED = "image,tags,split\na.jpg,beach;sea,train\nb.jpg,,val\nc.jpg,sea,TEST\n"
BINARY = "image,beach,sea\na.jpg,1,0\nb.jpg,?,1\nc.jpg,0,\n"


def test_listed_labels_with_a_split(folder):
    table = read(folder("a.jpg", "b.jpg", "c.jpg", labels_csv=LISTED) / "labels.csv")
    assert table.label_names == ("beach", "sea")
    assert table.labels_NL.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert table.labels_NL.dtype == np.int8
    assert table.absent_label == NO
    assert [PARTS[code] for code in table.given_split] == ["train", "val", "test"]
    assert table.sample_names == ("a.jpg", "b.jpg", "c.jpg")
    assert [file.name for file in table.files] == ["a.jpg", "b.jpg", "c.jpg"]
    assert table.x is None
    assert table.kind == "images"


def test_binary_labels(folder):
    table = read(folder("a.jpg", "b.jpg", "c.jpg", labels_csv=BINARY))
    assert table.label_names == ("beach", "sea")
    assert table.labels_NL.tolist() == [[YES, NO], [UNKNOWN, YES], [NO, UNKNOWN]]
    assert table.absent_label == UNKNOWN
    assert table.given_split is None


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("text", [LISTED, BINARY])
def test_every_delimiter(folder, delimiter, text):
    text = text.replace(";", "/").replace(",", delimiter)
    table = read(folder("a.jpg", "b.jpg", "c.jpg", labels_csv=text), label_separator="/" if "/" in text else None)
    assert table.label_names == ("beach", "sea")


@pytest.mark.parametrize("separator", [";", ",", "|"])
def test_every_separator_is_found(folder, separator):
    text = f'file_name,Keywords\na.jpg,"x{separator} y{separator}"\nb.jpg,"x{separator}{separator}z"\n'
    table = read(folder("a.jpg", "b.jpg", data_csv=text))
    assert table.label_names == ("x", "y", "z")
    assert table.labels_NL.tolist() == [[1, 1, 0], [1, 0, 1]]


def test_the_order_of_rows_does_not_move_label_names(folder):
    table = read(folder("a.jpg", "b.jpg", data_csv="image,tags\nb.jpg,z\na.jpg,a\n"))
    assert table.label_names == ("a", "z")
    assert table.sample_names == ("b.jpg", "a.jpg")


def test_a_space_separates_only_when_said(folder):
    where = folder("a.jpg", "b.jpg", l_csv="image,tags\na.jpg,bare soil\nb.jpg,sea\n")
    whole = read(where)
    assert whole.label_names == ("bare soil", "sea")
    assert "--label-separator" in whole.notes[0]
    assert read(where, label_separator=" ").label_names == ("bare", "sea", "soil")


def test_numbers_in_text_are_names(folder):
    table = read(folder("a.jpg", "b.jpg", l_csv="file_name,label\na.jpg,3\nb.jpg,12\n"))
    assert table.label_names == ("12", "3")
    assert table.notes == ("The labels are whole numbers, which are used as their names.",)


def test_two_separators_are_ambiguous(folder, faults):
    where = folder("a.jpg", "b.jpg", l_tsv="image\ttags\na.jpg\ta;b\nb.jpg\tc,d\n")
    assert "';' and ','" in faults(read, where)[0]
    assert read(where, label_separator=";").label_names == ("a", "b", "c,d")


def test_values_of_binary_cells(folder):
    cells = ["1", "1.0", "true", "TRUE", " 1 ", "1.000e+00", "0", "0.0", "False", "", "?", "NaN", "NA", "-1", "-1.0"]
    names = [f"{i}.jpg" for i in range(len(cells))]
    text = "image,beach\n" + "".join(f"{name},{cell}\n" for name, cell in zip(names, cells, strict=True))
    table = read(folder(*names, l_csv=text), label_column="beach")
    assert table.labels_NL.ravel().tolist() == [YES] * 6 + [NO] * 3 + [UNKNOWN] * 6
    assert table.notes == ("-1 in 2 label cells is read as unknown.",)


def test_a_matrix_of_minus_and_plus_one_asks_what_it_means(folder, faults):
    where = folder("a.jpg", "b.jpg", l_csv="image,x,y\na.jpg,1,-1\nb.jpg,-1,1\n")
    todo = faults(read, where)[-1]
    assert "--minus-one-is no" in todo
    assert "--minus-one-is unknown" in todo
    assert read(where, minus_one="no").labels_NL.tolist() == [[1, 0], [0, 1]]
    assert read(where, minus_one="unknown").labels_NL.tolist() == [[1, -1], [-1, 1]]


def test_minus_one_cannot_be_no_beside_zero(folder, faults):
    where = folder("a.jpg", "b.jpg", l_csv="image,x\na.jpg,0\nb.jpg,-1\n")
    assert "0 occurs as well" in faults(read, where, minus_one="no", label_column="x")[0]


def test_options_that_cannot_apply_are_refused(folder, faults):
    where = folder("a.jpg", "b.jpg", "c.jpg", listed_csv=LISTED, binary_csv=BINARY)
    assert "lists its labels by name" in faults(read, where / "listed.csv", minus_one="no")[0]
    assert "no cell lists labels" in faults(read, where / "binary.csv", label_separator=";")[0]
    assert len(faults(read, where / "binary.csv", label_separator="", minus_one="maybe")) == 3
    assert "has no effect" in read(where / "binary.csv", minus_one="no").notes[0]


# ---------------------------------------------------------------------------------- metadata or label


def test_further_columns_are_metadata_and_said(folder):
    text = "image,beach,sea,camera,shot\na.jpg,1,0,x100,3\nb.jpg,0,1,x200,17\n"
    table = read(folder("a.jpg", "b.jpg", l_csv=text))
    assert table.label_names == ("beach", "sea")
    assert dict(table.metadata) == {"camera": ("x100", "x200"), "shot": ("3", "17")}
    assert "camera, shot" in table.reading[-1]


def test_garbage_in_a_label_column_is_a_fault_and_not_metadata(folder, faults):
    names = [f"{i}.jpg" for i in range(30)]
    rows = [f"{name},{'x' if i in (3, 4) else i % 2},0" for i, name in enumerate(names)]
    found = faults(read, folder(*names, l_csv="image,beach,sea\n" + "\n".join(rows)))
    assert [fault.split(": ")[0] for fault in found[:-1]] == ["l.csv:5", "l.csv:6"]
    assert "'beach' must be 0 or 1" in found[0]
    assert "'x'" in found[0]


def test_one_wrong_cell_in_a_short_column_is_a_fault(folder, faults):
    found = faults(read, folder("a.jpg", "b.jpg", "c.jpg", l_csv="image,sea,sky\na.jpg,1,1\nb.jpg,0,1\nc.jpg,2,0\n"))
    assert found[0].startswith("l.csv:4: label 'sea'")


def test_an_empty_column_is_no_label(folder):
    table = read(folder("a.jpg", "b.jpg", l_csv="image,sea,sky,todo\na.jpg,1,0,\nb.jpg,0,0,\n"))
    assert table.label_names == ("sea", "sky")
    assert table.metadata["todo"] == ("", "")


def test_a_constant_column_is_a_label(folder):
    table = read(folder("a.jpg", "b.jpg", l_csv="image,sea,sky\na.jpg,1,0\nb.jpg,0,0\n"))
    assert table.label_names == ("sea", "sky")


def test_a_single_column_of_0_and_1_is_a_question(folder, faults):
    where = folder("a.jpg", "b.jpg", l_csv="image,label\na.jpg,1\nb.jpg,0\n")
    assert "only one column could be a label: column 'label'" in faults(read, where)[0]
    table = read(where, label_column="label")
    assert table.label_names == ("label",)
    assert table.labels_NL.tolist() == [[1], [0]]
    assert table.absent_label == UNKNOWN


def test_a_row_number_without_a_name_is_metadata(folder):
    table = read(folder("a.jpg", "b.jpg", "c.jpg", l_csv=",image,sea,sky,\n5,a.jpg,1,0,\n6,b.jpg,0,1,\n7,c.jpg,0,0,\n"))
    assert dict(table.metadata) == {"column 1": ("5", "6", "7")}


def test_a_label_column_without_a_name_is_a_fault(folder, faults):
    found = faults(read, folder("a.jpg", "b.jpg", "c.jpg", l_csv="image,sea,\na.jpg,1,1\nb.jpg,0,0\nc.jpg,0,1\n"))
    assert "column 3 holds 0/1 and has no name" in found[0]


def test_two_columns_of_paths(folder):
    table = read(folder("a.jpg", l_csv="path,image,tags\n/x/y,a.jpg,sea\n"))
    assert table.sample_names == ("a.jpg",)
    assert "not from path" in table.notes[0]


# -------------------------------------------------------------------------------------------- faults


def test_every_fault_is_told_at_once(folder, faults):
    text = "image,tags,split\na.jpg,sea,train\nb.jpg,sea,\nc.jpg,sea,trian\nd.jpg,sea,val\ne.jpg,sea\n../f.jpg,?,val\n"
    found = faults(read, folder("a.jpg", "b.jpg", "c.jpg", l_csv=text))
    places = [fault.split(": ")[0] for fault in found[:-1]]
    assert sorted(places) == ["l.csv:3", "l.csv:4", "l.csv:5", "l.csv:6", "l.csv:7", "l.csv:7"]
    text = "\n".join(found)
    for piece in ("empty cell", "'trian'. Did you mean 'train'?", "'d.jpg' does not exist", "expected 3 cells", "'?'"):
        assert piece in text
    assert "leaves the folder" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"  \n\n", "empty"),
        (b"image,tags\n", "no rows"),
        (b"image\na.jpg\n", "no column certainly holds labels"),
        (b"image,tags\na.jpg,\n", "no labels at all"),
        (b"image,camera\na.jpg,x\n", "only one column could be a label"),
        (b"name,tags\nb,sea\n", "expected a column with the images' paths"),
        (b"a.jpg,sea\nb.jpg,sea\n", "no header line"),
        (b"17,1,0\n18,0,1\n", "no header line"),
        (b"image,sea,sea\na.jpg,1,1\n", "'sea' occurs 2 times"),
        (b"image,sea, sea\na.jpg,1,1\n", "'sea' occurs 2 times"),
        (b"image,tags\na.jpg,s\x00ea\n", ":2: holds NUL"),
        (b"image,tags\na.jpg,pl\xe8ge\n", ":2: expected UTF-8 text; got byte 0xe8"),
        ("image,tags\na.jpg,sea\n".encode("utf-16")[:-1], "its byte order mark means utf-16-le"),
        ("image,tags\na.jpg,sea\n".encode("utf-32")[:-1], "its byte order mark means utf-32-le"),
        (b'image,tags\na.jpg,"sea\nb.jpg,sea\n', ":2: cannot be read as delimited text"),
        (b'image,tags\na.jpg,"' + b"x" * 200_000 + b'"\n', "field larger than"),
        (b"image,tags\na.jpg,\"['sea', 'sky'\"\n", "a list that is not closed"),
        (b"image,tags\na.jpg,nan\n", "no labels at all"),
        (b"image,tags\na.jpg,?\n", "'?' is not a label name"),
        (b'image,tags\na.jpg,"s\x07ea"\n', "control characters"),
    ],
)
def test_faults_of_a_file(folder, faults, content, message):
    assert message in "\n".join(faults(read, folder("a.jpg", l_csv=content) / "l.csv"))


def test_utf8_with_a_mark_and_other_line_ends(folder):
    for text in (
        "\ufeffimage,tags\r\na.jpg,pläge\r\n\r\n",
        "image,tags\ra.jpg,pläge\r",
        'image,tags\n\n"a.jpg",pläge\n,\n',
    ):
        assert read(folder("a.jpg", l_csv=text)).label_names == ("pläge",)


def test_line_numbers_count_quoted_line_breaks(folder, faults):
    text = 'image,tags,note\na.jpg,sea,"one\ntwo"\nb.jpg,sea,x\n'
    assert faults(read, folder("a.jpg", l_csv=text))[0].startswith("l.csv:4: ")


def test_repeated_rows(folder, faults):
    table = read(folder("a.jpg", "b.jpg", l_csv="image,tags\na.jpg,x;y\n./a.jpg,y;x\nb.jpg,x\n"))
    assert len(table) == 2
    assert table.notes == ("1 rows that repeat an image with the same labels are left out.",)
    found = faults(read, folder(l_csv="image,tags,split\na.jpg,x;z,val\nb.jpg,x,val\na.jpg,y,val\nb.jpg,x,train\n"))
    assert found[0] == "l.csv:4: repeats the image of l.csv:2, 'a.jpg', with other labels."
    assert found[1] == "l.csv:5: repeats the image of l.csv:3, 'b.jpg', with another split."


def test_names_that_differ_in_case_are_kept_and_said(folder):
    table = read(folder("a.jpg", l_csv="image,tags\na.jpg,Sea;sea\n"))
    assert table.label_names == ("Sea", "sea")
    assert "'Sea' and 'sea'" in table.notes[0]


def test_free_text_is_not_taken_for_labels(folder, faults, monkeypatch):
    monkeypatch.setattr("tagfit.data.sources.rows.MAX_CELLS", 3)
    assert "free text" in faults(read, folder("a.jpg", "b.jpg", l_csv="image,tags\na.jpg,x\nb.jpg,y\n"))[0]


# ---------------------------------------------------------------------------------------- round trips

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters=";|?[{("), max_size=8)
NAMES = WORDS.map(str.strip).filter(lambda name: name and name not in ("0", "1") and not is_none(name))
COMMON = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path: Path, header: list[str], rows: list[list[str]], delimiter: str) -> Path:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter).writerows([header, *rows])
    path.write_text(buffer.getvalue(), encoding="utf-8", newline="")
    return path


@COMMON
@given(st.lists(st.sets(NAMES), min_size=1, max_size=6), st.sampled_from(",;\t|"))
def test_listed_round_trip(folder, labels, delimiter):
    names = [f"{i}.jpg" for i in range(len(labels))]
    rows = [[name, "".join(f"{label};" for label in sorted(own))] for name, own in zip(names, labels, strict=True)]
    path = write(folder(*names) / "l.csv", ["image", "labels"], rows, delimiter)
    if not any(labels):
        with pytest.raises(DataError, match="no labels at all"):
            read(path)
        return
    table = read(path, label_separator=";", blank_is="no")
    assert table.label_names == tuple(sorted(set().union(*labels)))
    for row, own in zip(table.labels_NL, labels, strict=True):
        assert {name for name, code in zip(table.label_names, row, strict=True) if code == YES} == own


SPELLED = {YES: ["1", "1.0", "true"], NO: ["0", "0.0", "False"], UNKNOWN: ["", "?", "nan", "-1"]}


@COMMON
@given(st.data(), st.integers(1, 6), st.lists(NAMES, min_size=1, max_size=4, unique_by=str.lower))
def test_binary_round_trip(folder, data, n, names):
    reserved = {"image", "split"}
    names = [f"label {name}" if name.lower() in reserved else name for name in names]
    codes = data.draw(
        st.lists(st.lists(st.sampled_from([YES, NO, UNKNOWN]), min_size=len(names), max_size=len(names)), min_size=n)
    )
    codes.append([NO] * len(names))  # so that each column is a label column
    files = [f"{i}.jpg" for i in range(len(codes))]
    cells = [[data.draw(st.sampled_from(SPELLED[code])) for code in row] for row in codes]
    rows = [[file, *row] for file, row in zip(files, cells, strict=True)]
    path = write(folder(*files) / "l.csv", ["image", *names], rows, ",")
    table = read(path, label_column=names)
    assert table.label_names == tuple(names)
    assert table.labels_NL.tolist() == codes


def test_text_that_is_not_utf8_is_told_with_the_command_that_converts_it(folder):
    where = folder("a.jpg", l_csv="image,tags\n")
    (where / "l.csv").write_bytes("image,tags\na.jpg,Grève\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"If 'Grève' is right .*: iconv -f WINDOWS-1252 -t UTF-8 .*l\.csv > utf8\.csv"):
        read(where)
