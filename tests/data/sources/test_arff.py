"""ARFF files of Mulan and MEKA."""

from __future__ import annotations

import numpy as np
import pytest

from tagfit.data.sources.mulan import read_label_xml
from tagfit.data.sources.read import read
from tagfit.errors import DataError
from tagfit.records.data import NO, PARTS, UNKNOWN, YES

HEAD = "@relation 'r: -C -2'\n@attribute a numeric\n@attribute b REAL\n@attribute x {0,1}\n@attribute y {0,1}\n@data\n"
XML = '<labels xmlns="http://mulan.sourceforge.net/labels"><label name="{}"/><label name="{}"></label></labels>'


def test_meka_counts_from_the_end_or_the_start(folder):
    where = folder(r_arff=HEAD + "1,2.5,0,1\n3,-4e1,1,?\n")
    table = read(where)
    assert table.label_names == ("x", "y")
    assert table.labels_NL.tolist() == [[NO, YES], [YES, UNKNOWN]]
    assert table.x.tolist() == [[1, 2.5], [3, -40]]
    assert table.x.dtype == np.float32
    assert table.kind == "features"
    assert table.sample_names == ("row 1", "row 2")
    assert table.absent_label == UNKNOWN
    assert table.given_split is None
    head = HEAD.replace("-C -2", "foo -C 2 -split-number 9").replace("a numeric", "a {0,1}").replace("REAL", "{1,0}")
    table = read(folder(r_arff=head + "1,0,0,1\n"))
    assert table.label_names == ("a", "b")
    assert table.x.tolist() == [[0, 1]]


@pytest.mark.parametrize("xml", ["r.xml", "only.xml"])
def test_mulan_names_labels_in_the_order_of_its_xml(folder, xml):
    where = folder(r__train_arff=HEAD.replace(": -C -2", "") + "1,2,0,1\n")
    (where / xml).write_text(XML.format("y", "x"))
    table = read(where)
    assert table.label_names == ("y", "x")
    assert table.labels_NL.tolist() == [[YES, NO]]


def test_a_hierarchy_is_flattened_and_said(folder):
    xml = '<labels><label name="x"><label name="y"/></label></labels>'
    table = read(folder(r_arff=HEAD + "1,2,0,1\n", r_xml=xml))
    assert table.label_names == ("x", "y")
    assert "flattened" in table.notes[0]


def test_train_and_test_are_one_split(folder):
    where = folder(s__train_arff=HEAD + "1,2,0,1\n3,4,1,1\n", s__test_arff=HEAD + "5,6,1,0\n")
    (where / "s.xml").write_text(XML.format("x", "y"))
    table = read(where)
    assert [PARTS[code] for code in table.given_split] == ["test", "train", "train"]
    assert table.sample_names == ("test row 1", "train row 1", "train row 2")
    assert table.x[:, 0].tolist() == [5, 1, 3]


def test_train_and_test_must_have_the_same_attributes(folder, faults):
    other = HEAD.replace("@attribute a numeric\n@attribute b REAL", "@attribute b REAL\n@attribute a numeric")
    where = folder(s__train_arff=HEAD + "1,2,0,1\n", s__test_arff=other + "5,6,1,0\n")
    assert "feature names are not those" in faults(read, where)[0]


def test_sparse_rows(folder):
    head = HEAD.replace("a numeric", "a {7,8}").replace("{0,1}", "{false,true}", 1)
    table = read(folder(r_arff=head + "{1 2.5, 2 true,3 1}\n{ }\n{0 8 , 1 '3',3 ?}\n8, 1, \"true\", '0'\n"))
    # what a sparse row leaves out is the first value of a nominal attribute
    assert table.x.tolist() == [[1, 0, 2.5], [1, 0, 0], [0, 1, 3], [0, 1, 1]]
    assert table.labels_NL.tolist() == [[YES, YES], [NO, NO], [NO, UNKNOWN], [YES, NO]]
    assert "one-hot: a" in table.notes[0]
    assert table.feature_names == ("a=7", "a=8", "b")


def test_plain_sparse_rows_equal_dense_ones(folder):
    rng = np.random.default_rng(0)
    values = np.where(rng.random((50, 4)) < 0.5, 0, rng.normal(size=(50, 4)).round(4))
    values[:, 2:] = values[:, 2:] != 0
    text = [[f"{v:g}" for v in row] for row in values]
    dense = HEAD + "".join(",".join(row) + "\n" for row in text)
    sparse = HEAD + "".join("{" + ",".join(f"{at} {v}" for at, v in enumerate(row) if v != "0") + "}\n" for row in text)
    one, other = read(folder(r_arff=dense)), read(folder(r_arff=sparse))
    np.testing.assert_array_equal(one.x, other.x)
    np.testing.assert_array_equal(one.labels_NL, other.labels_NL)


def test_quotes_comments_and_nominal_features(folder):
    text = r"""% a comment
@RELATION "r -C -1"

@Attribute 'it\'s red, isn\'t it' {'no, never',yes, "so so"}
@attribute plain{0,1}
@attribute "the label" {0,1}
@DATA
% another
'no, never',1,1

yes , 0 , 0
"so so",1,?
"""
    table = read(folder(r_arff=text.replace("\n", "\r\n")))
    assert table.label_names == ("the label",)
    assert table.x.tolist() == [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 1]]
    assert table.labels_NL.ravel().tolist() == [YES, NO, UNKNOWN]


def test_nominal_values_that_are_no_numbers_apart(folder):
    for values in ("16777216,16777217", "1e99,1", "nan,1", "1_0,1"):
        one, other = values.split(",")
        text = HEAD.replace("a numeric", f"a {{{values}}}") + f"{one},2,0,1\n{other},2,0,1\n"
        assert read(folder(r_arff=text)).x.tolist() == [[1, 0, 2], [0, 1, 2]]


def test_labels_of_minus_and_plus_one(folder, faults):
    where = folder(r_arff=HEAD.replace("{0,1}", "{-1,1}") + "1,2,-1,1\n")
    assert "--minus-one-is" in faults(read, where)[-1]
    assert read(where, minus_one="no").labels_NL.tolist() == [[NO, YES]]


def test_every_faulty_row_is_told_at_once(folder, faults):
    rows = [
        "1,2,0,1",
        "1,2,0",
        "1,two,0,1",
        "?,2,0,1",
        "1,inf,0,1",
        "1,1e39,0,1",
        "1,2,5,1",
        "{0 1,9 1}",
        "{0 1,0 2}",
        "{0 1",
        "{0}",
        "{0 'a}",
        "1,'2,0,1",
        "1,1_0,0,1",
        "{0 1_0}",
    ]
    found = faults(read, folder(r_arff=HEAD + "\n".join(rows)))[:-1]
    assert sorted(int(fault.split(":")[1]) for fault in found) == [8, 9, *range(13, 22)]
    text = "\n".join(found)
    for piece in ("expected 4 values", "'b' must be a number; got 'two'", "must be one of 0, 1; got 5", "twice"):
        assert piece in text
    assert "numbers go from 0 to 3" in text


def test_missing_and_infinite_features_are_faults(folder, faults):
    found = faults(read, folder(r_arff=HEAD + "?,2,0,1\n1,inf,0,1\n1,1e39,0,1\n1,2,0,1\n"))
    assert found[:-1] == (
        "r.arff:7: feature 'a' is missing.",
        "r.arff:8: feature 'b' is infinite or beyond float32.",
        "r.arff:9: feature 'b' is infinite or beyond float32.",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD.replace(": -C -2", "") + "1,2,0,1\n", "does not mark which attributes are labels"),
        (HEAD.replace("-C -2", "-C 4") + "1,2,0,1\n", "-C 4; expected 1 to 3"),
        (HEAD.replace("-C -2", "-C 0") + "1,2,0,1\n", "-C 0"),
        (HEAD, "no rows below @data"),
        (HEAD.replace("@data\n", ""), "expected a line @data"),
        (HEAD.replace("@data", "@dota\n@data") + "1,2,0,1\n", "expected @relation"),
        (HEAD.replace("REAL", "string") + "1,2,0,1\n", "must be numeric or {nominal}; got string"),
        (HEAD.replace("REAL", "date 'yyyy'") + "1,2,0,1\n", "RemoveType"),
        (HEAD.replace("REAL", "") + "1,2,0,1\n", "no type"),
        (HEAD.replace("REAL", "{a,a}") + "1,a,0,1\n", "distinct values"),
        (HEAD.replace("b REAL", "a REAL") + "1,2,0,1\n", "r.arff:3: attribute 'a' is there already (r.arff:2)"),
        (HEAD.replace("{0,1}", "{off,on}") + "1,2,on,off\n", "among its values"),
        (HEAD.replace("x {0,1}", "x numeric") + "1,2,3,1\n", "r.arff:7: label 'x' must be 0 or 1"),
        (HEAD + "1,2,?,?\n", "every label cell is unknown"),
        ("@relation x\n@data\n", "no attributes"),
    ],
)
def test_faults_of_a_file(folder, faults, text, message):
    assert message in "\n".join(faults(read, folder(r_arff=text)))


def test_options_of_images_are_refused(folder, faults):
    found = "\n".join(faults(read, folder(r_arff=HEAD + "1,2,0,1\n"), images=".", label_separator=";"))
    assert "a folder of images was given" in found
    assert "label separator was given" in found


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        (XML.format("x", "Y"), "label 'Y' is not an attribute of r.arff"),
        (XML.format("x", "x"), "'x' occurs 2 times"),
        ("<labels></labels>", "no labels in it"),
        ("<labels><label name='x'></labels>", "not well-formed"),
        ("<!DOCTYPE labels [<!ENTITY a 'b'>]><labels><label name='&a;'/></labels>", "document type"),
        ("", "not well-formed"),
    ],
)
def test_faults_of_the_xml(folder, faults, xml, message):
    found = "\n".join(faults(read, folder(r_arff=HEAD + "1,2,0,1\n", r_xml=xml)))
    assert "r.xml" in found
    assert message in found


def test_entities_do_not_expand(folder):
    bomb = "<!DOCTYPE l [<!ENTITY a0 'x'>" + "".join(f"<!ENTITY a{i} '{f'&a{i - 1};' * 50}'>" for i in range(1, 20))
    where = folder(b_xml=f"{bomb}]><labels><label name='&a19;'/></labels>")
    with pytest.raises(DataError, match="document type"):
        read_label_xml(where / "b.xml")


def test_a_sparse_file_that_claims_too_much(folder, faults, monkeypatch):
    monkeypatch.setattr("tagfit.data.sources.arff.MAX_VALUES", 7)
    assert "more memory than there is" in faults(read, folder(r_arff=HEAD + "{}\n{}\n"))[0]


@pytest.mark.parametrize("row", ["{" + " " * 60_000 + "'", "1," + " " * 60_000 + "'", "{0" + " " * 60_000 + "x'y}"])
def test_no_row_makes_matching_slow(folder, faults, row):
    assert faults(read, folder(r_arff=HEAD + row))
