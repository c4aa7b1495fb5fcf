import pytest

from tagfit.errors import OutputError
from tagfit.inference.row_files import resume_rows, save_rows
from tagfit.inference.rows import PredictedRow

NAMES = ("red", "green")
ROWS = [
    PredictedRow("a.jpg", ("red",), {"red": 0.9, "green": 0.25}),
    PredictedRow('two\nlines, "quoted"é\udcff.jpg', (), {}, "cannot be read: no"),
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
