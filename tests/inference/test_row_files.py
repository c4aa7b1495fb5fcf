import csv

import pandas
import pytest

from tagfit.errors import DataError, OutputError
from tagfit.inference.row_files import resume_rows, save_rows
from tagfit.inference.rows import PredictedRow

NAMES = ("red", "green")
ROWS = [
    PredictedRow("a.jpg", ("red",), {"red": 0.9, "green": 0.25}),
    PredictedRow('two\nlines, "quoted"é\udcff.jpg', (), {}, "cannot be read: no"),
    PredictedRow("a\rb\t.jpg", ("red",), {"red": 0.9, "green": 0.25}),
    PredictedRow('=HYPERLINK("http://x", "y").jpg', ("red",), {"red": 0.9, "green": 0.25}),
    PredictedRow("'=1.jpg", ("red",), {"red": 0.9, "green": 0.25}),
    PredictedRow("b.jpg", ("red", "green"), {"red": 0.75, "green": 0.5}),
]


def after(known):
    return ROWS[len(list(known)) :]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_file_torn_anywhere_is_gone_on_with_to_the_same_bytes(suffix, tmp_path):
    whole, torn = tmp_path / f"whole{suffix}", tmp_path / f"torn{suffix}"
    save_rows(whole, NAMES, ROWS)
    for length in range(whole.stat().st_size + 1):
        torn.write_bytes(whole.read_bytes()[:length])
        resume_rows(torn, NAMES, after)
        assert torn.read_bytes() == whole.read_bytes(), length


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("content", [b"my notes", b"my notes\n", b"sample,labels,error,blue\n", b'{"sample": 1}\n'])
def test_a_file_of_somebody_else_is_refused_and_stays(suffix, content, tmp_path):
    file = tmp_path / f"other{suffix}"
    file.write_bytes(content)
    with pytest.raises(OutputError, match="other"):
        resume_rows(file, NAMES, after)
    assert file.read_bytes() == content


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_runs_no_name(begins, tmp_path):
    row = PredictedRow(f"{begins}1+1.jpg", (f"{begins}sum",), {f"{begins}sum": 0.5})
    save_rows(tmp_path / "rows.csv", (f"{begins}sum",), [row])
    with (tmp_path / "rows.csv").open(newline="", encoding="utf-8") as file:
        cells = [cell for line in csv.reader(file) for cell in line]
    assert [cell for cell in cells if cell.startswith(begins)] == []


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_labels_that_are_called_like_a_column(suffix, tmp_path):
    names = ("sample", "error", "labels")
    row = PredictedRow("a.jpg", ("sample",), dict.fromkeys(names, 0.5))
    file = tmp_path / f"rows{suffix}"
    save_rows(file, names, [row])
    table = pandas.read_csv(file) if suffix == ".csv" else pandas.read_parquet(file)
    assert list(table) == ["sample", "labels", "error", "score of sample", "score of error", "score of labels"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_input_that_is_refused_leaves_no_file(suffix, tmp_path):
    def refused():
        raise DataError("features that do not fit")
        yield

    with pytest.raises(DataError):
        save_rows(tmp_path / f"rows{suffix}", NAMES, refused())
    assert list(tmp_path.iterdir()) == []
