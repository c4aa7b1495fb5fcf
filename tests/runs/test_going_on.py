"""A cure that goes on from a run: its split is kept, its recipe is tried first, both models are compared."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import tagfit
from making import QUICK, cure, feature_table
from tagfit.data.kept_split import keep_split, place_in
from tagfit.data.lock import locked_samples
from tagfit.errors import BundleError, DataError, RecipeError
from tagfit.metrics.scores import score
from tagfit.records.data import PARTS
from tagfit.report.table import as_text, result_table
from tagfit.runs.record import read_record

TABLE = feature_table(samples=300)


def _load(rows, labels_NL=None, **options):
    labels_NL = TABLE.labels_NL if labels_NL is None else labels_NL
    return tagfit.load(TABLE.x[rows], labels_NL[rows], label_names=TABLE.label_names, **options)


def _parts(data):
    """By the sample's content."""
    return {row.tobytes(): PARTS[code] for row, code in zip(data.dataset.hashes, data.split.parts, strict=True)}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A run on the first 200 samples."""
    run = tmp_path_factory.mktemp("first") / "run"
    data = _load(slice(200))
    return cure(data, [QUICK], output=run), data


def test_each_sample_stays_in_its_part_and_new_ones_are_dealt_by_the_same_shares(first):
    result, data = first
    order = np.random.default_rng(1).permutation(300)
    now = _load(order, from_run=result.folder)
    before, after = _parts(data), _parts(now)
    assert all(after[sample] == part for sample, part in before.items())
    added = [part for sample, part in after.items() if sample not in before]
    assert {part: added.count(part) for part in ("train", "val", "test")} == {"train": 70, "val": 15, "test": 15}
    assert now.earlier.lock == data.lock
    assert "200 samples keep the part" in now.split.notes[0]


def test_the_record_compares_both_models_on_the_same_samples_and_tells_relabelling_apart(first, tmp_path):
    result, data = first
    labels_NL = TABLE.labels_NL.copy()
    tested = [row for row in range(200) if data.split.parts[row] == PARTS.index("test")][:10]
    labels_NL[tested, 0] ^= 1
    now = _load(slice(300), labels_NL, from_run=result.folder)
    later = cure(now, [], output=tmp_path / "later")
    record = read_record(tmp_path / "later")
    continued = record.continued
    assert (continued.kept, continued.added, continued.gone, continued.lock) == (200, 100, 0, data.lock)
    assert continued.relabelled["test"] == 10
    by_label = {one.label: (one.added, one.changed) for one in continued.labels}
    assert by_label == {"label_0": (100, 10), "label_1": (100, 0), "label_2": (100, 0)}
    test = continued.compared["test"]
    rows = now.split.rows("test")
    scores = result.tagger.predict(now.dataset.x[rows]).scores
    micro = score(now.dataset.labels_NL[rows], scores).micro_f1
    assert test.earlier == pytest.approx(micro)
    assert test.now == pytest.approx(record.after.score("test", "micro_f1"))
    assert test.difference.value == pytest.approx(test.now - test.earlier)
    old = data.split.rows("test")
    assert test.earlier_on_labels_then == pytest.approx(result.record.after.score("test", "micro_f1"))
    assert test.kept == len(old)
    assert test.cells_relabelled == 10
    assert test.by_relabelling < 0
    # the run's own recipe was tried first
    assert record.tried[0].recipe.to_dict() == result.record.after.recipe.to_dict()
    said = " ".join(record.verdict.sentences)
    assert f"On the same {len(rows)} samples of test" in said
    assert "10 labels of test were corrected since" in said
    assert "the same samples" in as_text(result_table(record))
    assert later.folder is not None


def test_near_copies_and_groups_join_the_part_of_the_sample_that_the_run_had(first):
    _, data = first
    samples = locked_samples(data.dataset, data.split)
    whole = _load(slice(300)).dataset
    at = place_in(samples, whole.hashes)
    groups = [str(row if row < 200 else row - 200) for row in range(300)]
    split = keep_split(whole, samples, groups=groups)
    assert (at[200:] == -1).all()
    assert (split.parts[200:] == split.parts[:100]).all()


def test_folds_are_kept(tmp_path):
    data = _load(slice(200), folds=4)
    run = cure(data, [QUICK], output=tmp_path / "run")
    now = _load(slice(300), from_run=run.folder)
    assert (now.split.folds[:200] == data.split.folds).all()
    assert set(now.split.folds[200:]) <= {-1, 0, 1, 2, 3}
    assert (now.split.folds[200:] >= 0).sum() > 50


def test_a_split_of_the_data_that_moves_what_was_trained_on_is_refused(first):
    _, data = first
    own = data.split.parts.copy()
    own[data.split.rows("train")[:3]] = PARTS.index("test")
    moved = replace(data.dataset, given_split=own)
    with pytest.raises(DataError, match="moves 3 samples between train"):
        keep_split(moved, locked_samples(data.dataset, data.split))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label_names": ("label_0", "label_1", "other")}, "knows the label 'label_2'"),
        ({"x": np.zeros((300, 9), np.float32)}, "features of 8; this data is features of 9"),
    ],
)
def test_other_labels_and_another_form_are_refused(first, change, said):
    result, _ = first
    values = {"x": TABLE.x, "label_names": TABLE.label_names} | change
    with pytest.raises(DataError, match=said):
        tagfit.load(
            values["x"] + np.arange(300)[:, None],
            TABLE.labels_NL,
            label_names=values["label_names"],
            from_run=result.folder,
        )


def test_what_is_not_the_samples_of_the_lock_is_refused(first, tmp_path):
    import shutil

    shutil.copytree(first[0].folder, tmp_path / "run")
    path = tmp_path / "run" / "samples.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match="not the samples of the run's lock"):
        _load(slice(300), from_run=tmp_path / "run")


def test_a_recipe_that_needs_what_is_not_allowed_is_refused(first, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(first[0].folder, tmp_path / "run")
    path = tmp_path / "run" / "result.json"
    text = path.read_text()
    path.write_text(text.replace('"augmentation": []', '"augmentation": ["mirror"]'))
    with pytest.raises(RecipeError, match="--allow augmentation"):
        cure(_load(slice(300), from_run=tmp_path / "run"), [])


def test_byte_identical_samples_are_each_themselves():
    dataset = _load(np.r_[0:100, 0:10]).dataset
    samples = locked_samples(dataset, tagfit.load(dataset.x, dataset.labels_NL).split)
    assert (place_in(samples, dataset.hashes) == np.arange(110)).all()


def test_data_that_the_run_never_had_and_shares_for_folds_are_refused(first, tmp_path):
    with pytest.raises(DataError, match="none of these samples"):
        tagfit.load(TABLE.x + 1, TABLE.labels_NL, label_names=TABLE.label_names, from_run=first[0].folder)
    data = _load(slice(200), folds=3)
    with pytest.raises(DataError, match="folds in place of train and val"):
        keep_split(data.dataset, locked_samples(data.dataset, data.split), shares={"train": 0.8, "val": 0.2})


def test_an_image_that_was_saved_anew_stays_in_its_part(tmp_path):
    """A photo program writes keywords into a file: other bytes, the same picture."""
    x = tagfit.load("postcards:90").dataset.x
    folder = tmp_path / "photos"
    folder.mkdir()
    names = [f"{number:02}.png" for number in range(90)]
    for name, image in zip(names, x, strict=True):
        Image.fromarray(image).save(folder / name)
    labels = "\n".join(f"{name},{'even' if number % 2 else 'odd'}" for number, name in enumerate(names))
    (folder / "labels.csv").write_text(f"image,labels\n{labels}\n")
    before = tagfit.load(folder, size=32)
    cure(before, [], baseline=QUICK, output=tmp_path / "run")
    for name, image in zip(names[:60], x, strict=False):
        Image.fromarray(image).save(folder / name, compress_level=1)
    after = tagfit.load(folder, from_run=tmp_path / "run")
    assert (after.dataset.hashes != before.dataset.hashes).any(axis=1).sum() >= 50
    assert (after.split.parts == before.split.parts).all()


def test_a_run_is_looked_at_again_without_the_run_before_it(tmp_path):
    import shutil

    np.savez(tmp_path / "a.npz", X=TABLE.x[:200], y=TABLE.labels_NL[:200])
    np.savez(tmp_path / "b.npz", X=TABLE.x, y=TABLE.labels_NL)
    cure(tagfit.load(tmp_path / "a.npz"), [], baseline=QUICK, output=tmp_path / "first")
    cure(tagfit.load(tmp_path / "b.npz", from_run=tmp_path / "first"), [], baseline=QUICK, output=tmp_path / "second")
    shutil.rmtree(tmp_path / "first")
    cannot = tagfit.diagnose(tmp_path / "second", quick=True).cannot
    assert not [one for one in cannot if "could not be loaded" in str(one)]
