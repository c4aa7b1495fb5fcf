"""Options: spelled once, checked once, the same for Python and for the command line."""

import json
from dataclasses import fields, replace
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

import tagfit
from making import QUICK, feature_table, image_folder, locked
from tagfit.bundle.write import write_bundle
from tagfit.cli.command import command, takes
from tagfit.cli.main import main
from tagfit.data.dataset import DEFAULT_SIZE
from tagfit.errors import DataError, InputError, OptionError, RecipeError
from tagfit.images.decode import MAX_PIXELS
from tagfit.inference.tagger import Tagger
from tagfit.io.typed_json import from_plain, to_plain
from tagfit.options import data as data_options
from tagfit.options import runs as run_options
from tagfit.options import shared
from tagfit.options.commands import PredictOptions, ServeOptions
from tagfit.options.data import DataOptions, DataSource, ReadOptions
from tagfit.options.option import command_words, defaults_of, flag_of, options_of
from tagfit.options.runs import CureOptions, DiagnoseOptions, EvaluateOptions, TrainOptions
from tagfit.recipes import DenseModel, Recipe
from tagfit.records import data as records
from tagfit.records.form import MOST_PIXELS_A_SIDE
from tagfit.records.scores import Target
from tagfit.runs.loading import load_again
from tagfit.search.plan import Plan
from tagfit.serve.limits import Limits

KEYWORDS = {
    ReadOptions: data_options.ReadKeywords,
    DataOptions: data_options.DataKeywords,
    TrainOptions: run_options.TrainKeywords,
    CureOptions: run_options.CureKeywords,
    DiagnoseOptions: run_options.DiagnoseKeywords,
    EvaluateOptions: run_options.EvaluateKeywords,
}
RECORDS = [*KEYWORDS, PredictOptions, ServeOptions]
FUNCTIONS = {
    "load": DataOptions,
    "fit": TrainOptions,
    "cure": CureOptions,
    "diagnose": DiagnoseOptions,
    "evaluate": EvaluateOptions,
}


@pytest.mark.parametrize("kind", KEYWORDS, ids=lambda kind: kind.__name__)
def test_keywords_are_those_of_the_record(kind):
    spelled = {name: found.__forward_arg__ for name, found in KEYWORDS[kind].__annotations__.items()}
    assert spelled == {one.name: one.type for one in fields(kind)}


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_option_has_a_sentence_and_defaults_that_its_check_accepts(kind):
    assert kind().changed() == {}
    for one in options_of(kind).values():
        assert one.help[0].isupper()
        assert one.help.endswith(".")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_help_shows_names_defaults_and_meaning(name):
    import inspect

    function, kind = getattr(tagfit, name), FUNCTIONS[name]
    parameters = inspect.signature(function).parameters
    for option, default in defaults_of(kind).items():
        assert parameters[option].default == default
        assert f"        {option}: " in function.__doc__


def test_what_defaults_come_to_is_what_happens():
    """The words of help beside the constants of the rooms below."""
    assert options_of(DataOptions)["size"].usual == str(DEFAULT_SIZE)
    assert options_of(DataOptions)["max_pixels"].usual == f"{MAX_PIXELS / 1e6:g} megapixels"
    assert options_of(CureOptions)["train_below"].usual == str(Target.train_below)
    assert options_of(CureOptions)["trials"].usual.startswith(f"{Plan().trials} on features")
    assert (CureOptions().metric, CureOptions().val_at_least) == (Target.metric, Target.val_at_least)
    assert data_options.MOST_PIXELS_A_SIDE == MOST_PIXELS_A_SIDE
    assert shared.PARTS == records.PARTS
    usual, limits = ServeOptions(), Limits()
    assert (usual.max_megabytes << 20, usual.max_pixels, usual.max_images) == (
        limits.body,
        limits.pixels,
        limits.images,
    )
    assert (usual.max_seconds, usual.queue) == (limits.seconds, limits.queue)


def test_numpy_scalars_are_numbers_and_become_pythons():
    read = DataOptions(size=np.int64(16), folds=np.int8(3), strict=np.bool_(True), split={"train": np.float32(0.5)})
    assert (read.size, read.folds, read.strict, read.split) == (16, 3, True, {"train": 0.5})
    assert {type(one) for one in (read.size, read.folds)} == {int}
    assert (type(read.strict), type(read.split["train"])) == (bool, float)
    cured = CureOptions(minutes=np.float32(0.5), trials=np.uint16(7), metric=np.str_("micro_f1"))
    assert [type(one) for one in (cured.minutes, cured.trials, cured.metric)] == [float, int, str]
    target = Target(train_below=np.float32(0.5), val_at_least=np.int64(0))
    assert (type(target.train_below), type(target.val_at_least)) == (float, int)


def test_numpy_scalars_go_all_the_way_to_the_record(tmp_path):
    folder = image_folder(tmp_path, samples=20)
    data = tagfit.load(folder, size=np.int64(16), split_seed=np.int32(1))
    assert from_plain(json.loads(json.dumps(to_plain(data.source))), DataSource) == data.source
    assert load_again(data.source, "cpu").lock == data.lock == tagfit.load(folder, size=16, split_seed=1).lock


@pytest.mark.parametrize(
    ("kind", "name", "value", "expected"),
    [
        (DataOptions, "size", 2.0, "a whole number from 1 to 4096"),
        (DataOptions, "size", True, "a whole number"),
        (DataOptions, "size", 5000, "a whole number"),
        (DataOptions, "size", 10**400, "a whole number"),
        (DataOptions, "size", np.array([3, 4]), "a whole number"),
        (DataOptions, "folds", 2.5, "a whole number from 2 to 20"),
        (DataOptions, "folds", 1, "from 2 to 20"),
        (DataOptions, "split_seed", -1, "of at least 0|from 0 to"),
        (DataOptions, "split_seed", None, "a whole number"),
        (DataOptions, "split", 70, "percentages"),
        (DataOptions, "split", {"train": "most"}, "percentages"),
        (DataOptions, "strict", 1, "True or False"),
        (DataOptions, "images", 3, "a path"),
        (DataOptions, "minus_one", "maybe", "one of no, unknown"),
        (DataOptions, "max_pixels", 0, "of at least 1"),
        (DataOptions, "label_names", "beach", "a list of names"),
        (DataOptions, "device", "cud", "Did you mean 'cuda'"),
        (TrainOptions, "seed", 2**63, "a whole number"),
        (TrainOptions, "recipe", 3, "a recipe, its name or its TOML file"),
        (TrainOptions, "allow", "augmentation", "a list of names"),
        (CureOptions, "train_below", 0, "above 0"),
        (CureOptions, "train_below", "0.9", "a fraction"),
        (CureOptions, "val_at_least", 85, "a fraction"),
        (CureOptions, "minutes", float("inf"), "a number above 0"),
        (CureOptions, "minutes", float("nan"), "a number above 0"),
        (CureOptions, "trials", False, "of at least 1"),
    ],
)
def test_other_values_are_refused_with_what_was_expected_and_what_came(kind, name, value, expected):
    with pytest.raises(OptionError, match=expected) as caught:
        kind(**{name: value})
    (fault,) = caught.value.faults
    assert fault.startswith(f"{name} must be ")
    assert f"got {value!r}"[:100] in fault


@pytest.mark.parametrize(
    ("call", "faults"),
    [
        (
            lambda: tagfit.load("nowhere", size="a", folds=2.5, siez=1, split="50/60", backbone="x"),
            ["'siez'. Did you mean 'size'?", "folds must be", "size must be", "add up to 100"],
        ),
        (
            lambda: tagfit.fit("nowhere", seed=-1, recipe="dense-basline", decide_for="macro-f1", device="abacus"),
            ["seed must be", "Did you mean 'dense-baseline'?", "Did you mean 'macro_f1'?", "device must be one of"],
        ),
        (
            lambda: tagfit.cure("nowhere", target=0.9, refit=True, guarantee="recall=0.9", metric="micro-f1"),
            ["target must be a tagfit.Target; got 0.9", "trained again", "Did you mean 'micro_f1'?"],
        ),
        (
            lambda: tagfit.cure("nowhere", target=tagfit.Target(train_below=0), val_at_least=0.5),
            ["target.train_below must be above 0", "target and val_at_least were both given"],
        ),
        (lambda: tagfit.diagnose("nowhere", seed="1", metric="f1"), ["seed must be", "metric must be one of"]),
        (lambda: tagfit.evaluate("nowhere", "nowhere", part="tset", seed=-2), ["Did you mean 'test'?", "seed must be"]),
        (
            lambda: tagfit.fit("nowhere", on="dask", decide_for="micro_f1", guarantee="recall=2"),
            ["ray", "only one can"],
        ),
    ],
)
def test_all_faults_at_once_and_before_anything_is_read(call, faults):
    with pytest.raises(OptionError) as caught:
        call()
    for fault in faults:
        assert any(fault in one for one in caught.value.faults), caught.value
    assert isinstance(caught.value, InputError | TypeError)


def test_an_option_error_is_what_such_faults_always_were():
    for kind in (DataError, RecipeError, ValueError, TypeError):
        with pytest.raises(kind):
            tagfit.fit("nowhere", seeds=1)


def test_the_command_line_says_the_same_in_its_own_words(tmp_path):
    words = ["--seed", "-1", "--folds", "2.5", "--train-below", "0", "--minutes", "inf", "--max-megapixels", "nan"]
    words += ["--size", "16", "--backbone", "x", "--metric", "micro-f1", "--baseline", "mine.toml", "--device", "cud"]
    done = CliRunner().invoke(main, ["cure", str(tmp_path / "nowhere"), *words])
    assert done.exit_code == 2
    assert done.stdout == ""
    for fault in (
        "9 faults",
        "--seed must be a whole number from 0",
        "--folds must be a whole number from 2 to 20; got '2.5'",
        "--train-below must be a fraction above 0 and at most 1; got 0.0",
        "--minutes must be a number above 0; got inf",
        "--max-megapixels must be a number above 0 and at most 1000000; got nan",
        "--size was given, but a backbone has its own",
        "Did you mean 'micro_f1'?",
        "mine.toml",
        "--device must be one of auto, cpu, cuda, mps; got 'cud'. Did you mean 'cuda'?",
    ):
        assert fault in done.stderr


@pytest.mark.parametrize("option", ["--max-megapixels", "--max-seconds", "--queue", "--port"])
@pytest.mark.parametrize("value", ["nan", "-inf", "-1", "x"])
def test_a_servers_limits_are_numbers(option, value):
    done = CliRunner().invoke(main, ["serve", "nowhere", option, value])
    assert (done.exit_code, f"{option} must be" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "record",
    [
        DataOptions(
            split="60/20/20",
            folds=3,
            groups="none",
            split_seed=4,
            size=16,
            images="here; there",
            label_separator=" ",
            minus_one="no",
            max_pixels=123_456_789,
            strict=True,
            on="ray",
        ),
        TrainOptions(fine_tune=True, allow=("augmentation",), decide_for="recall>=0.5", seed=2, recipe="a b.toml"),
        CureOptions(metric="map", train_below=0.9, val_at_least=1 / 3, trials=9, minutes=1.5, single=True, refit=True),
        ServeOptions(port=0, allow_host=("a", "b"), max_pixels=1, max_seconds=0.5, queue=1000),
        PredictOptions(calibrated=True, explain="dir"),
    ],
    ids=lambda record: type(record).__name__,
)
def test_a_commands_words_come_back_as_the_same_record(record):
    found = []
    kind = type(record)

    @command("")
    @takes(record=kind)
    def keep(record):
        found.append(record)

    values = record.changed()
    if "recipe" in values:
        Path(values["recipe"]).write_text("", encoding="utf-8")
    done = CliRunner().invoke(keep, list(command_words(kind, values)), catch_exceptions=False, standalone_mode=False)
    assert done.exit_code == 0
    assert found == [record]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_what_only_python_has_is_no_word_of_a_command():
    assert list(command_words(DataOptions, {"calibrate": True, "split_seed": 0})) == []
    assert flag_of(DataOptions, "minus_one") == "--minus-one-is"
    shown = {name for parameter in main.commands["cure"].params for name in parameter.opts}
    assert "--calibrate" not in shown
    assert isinstance(main.commands["cure"], click.Command)


def test_how_labels_are_read_is_in_the_record_and_in_the_command(tmp_path):
    """Whatever the person has said about a source, a run's data is read the same way again."""
    folder = image_folder(tmp_path, samples=20)
    rows = (folder / "labels.csv").read_text().splitlines()[1:]
    cells = [row.split(",") for row in rows]
    text = "".join(f"/mnt/a/{image},{labels.replace(';', '+').replace('none', 'leer')},0\n" for image, labels in cells)
    (folder / "labels.csv").write_text(text)
    said = {
        "image_column": "column 1",
        "label_column": "column 2",
        "label_separator": "+",
        "strip_prefix": "/mnt/a/",
        "none_is": "leer",
        "header": "none",
    }
    data = tagfit.load(folder, size=8, **said)
    assert data.source.label_column == ("column 2",)
    assert from_plain(json.loads(json.dumps(to_plain(data.source))), DataSource) == data.source
    assert load_again(data.source, "cpu").lock == data.lock
    words = list(command_words(DataOptions, data.source.options))
    assert words[words.index("--label-column") + 1] == "column 2"
    shown = CliRunner().invoke(main, ["inspect", str(folder), *words])
    assert shown.exit_code == 0, shown.output
    assert "Labels are column 'column 2'." in shown.output


def test_names_of_labels_on_the_command_line(tmp_path):
    folder = image_folder(tmp_path, samples=20)
    images = [f"images/{number}.png" for number in range(20)]
    (folder / "labels.csv").unlink()
    (folder / "list.txt").write_text("".join(f"{image} {at % 2} {at % 3 == 0:d}\n" for at, image in enumerate(images)))
    data = tagfit.load(folder, size=8, label_names=["sea", "light blue"])
    words = list(command_words(DataOptions, data.source.options))
    assert words[words.index("--label-names") + 1] == "sea,light blue"
    shown = CliRunner().invoke(main, ["inspect", str(folder), "--json", *words])
    assert [label["name"] for label in json.loads(shown.stdout)["labels"]] == ["sea", "light blue"]


def test_text_of_no_characters_is_refused_wherever_it_is_said():
    with pytest.raises(OptionError, match="none_is must be a text of at least one character; got ''"):
        DataOptions(none_is="")


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda data, bundle: Tagger.load(bundle, runtime="onnx"), "runtime must be one of auto, torch"),
        (lambda data, bundle: Tagger.load(bundle, processes=0), "processes must be a whole number of at least 1"),
        (lambda data, bundle: Tagger.load(bundle, device="tpu"), "device must be one of auto, cpu, cuda, mps"),
        (lambda data, bundle: tagfit.predict(Tagger.load(bundle), data.dataset.x, device="tpu"), "device must be"),
        (lambda data, bundle: tagfit.inspect(data, device=3), "device must be one of"),
        (lambda data, bundle: tagfit.export(bundle, "x.onnx", to="h5"), "to must be one of onnx, keras"),
        (lambda data, bundle: tagfit.fit(data, seed=-1), "seed must be a whole number from 0"),
        (lambda data, bundle: tagfit.fit(data, seed=True), "seed must be a whole number from 0"),
        (lambda data, bundle: tagfit.load(data.dataset.x, data.dataset.labels_NL, folds=2.5), "folds must be a whole"),
        (lambda data, bundle: tagfit.cure(data, target=0.9), "target must be a tagfit.Target"),
        (lambda data, bundle: tagfit.cure(data, train_below=0), "train_below must be a fraction above 0"),
        (lambda data, bundle: tagfit.cure(data, minutes=float("inf")), "minutes must be a number above 0"),
    ],
)
def test_every_function_checks_its_options_first(call, expected, tmp_path):
    data = locked(feature_table(samples=60))
    write_bundle(tmp_path / "bundle", tagfit.fit(data, recipe=QUICK).tagger.bundle)
    with pytest.raises(OptionError, match=expected):
        call(data, tmp_path / "bundle")


def test_numpys_numbers_are_numbers(tmp_path):
    data = tagfit.load(
        feature_table(samples=60).x,
        feature_table(samples=60).labels_NL,
        split={"train": np.float32(0.7), "val": np.float64(0.3)},
        split_seed=np.uint8(3),
        groups=np.arange(60) // 2,
    )
    training = replace(QUICK.training, epochs=np.int64(2), rate=np.float64(0.01), autocast=np.bool_(False))
    recipe = Recipe(
        name="numpy", model=DenseModel(widths=(np.int32(8),), dropout=(np.float16(0.5),)), training=training
    )
    assert recipe == Recipe.from_dict(recipe.to_dict())
    assert all(type(one) in (int, float, bool, str, tuple) for one in vars(recipe.training).values())
    tagfit.fit(data, recipe=recipe, seed=np.int64(1), output=tmp_path / "fit")
    target = tagfit.Target("micro_f1", train_below=np.float32(0.9), val_at_least=np.float64(0.1))
    tagfit.cure(data, baseline=recipe, target=target, trials=np.int64(1), output=tmp_path / "cure")
    assert Tagger.load(tmp_path / "fit", processes=np.int64(1)).label_names == data.dataset.label_names


def test_a_long_value_is_cut_in_a_message():
    with pytest.raises(OptionError) as refused:
        DataOptions(split=np.arange(900))
    assert len(refused.value.faults[0]) < 300
    assert "\n" not in refused.value.faults[0]
