"""A finished run to report on, and a browser to look at its page with."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from making import cure, image_table, locked, scenes
from tagfit.metrics.intervals import Answers
from tagfit.options.data import DataSource
from tagfit.recipes import DenseModel, Recipe, Training
from tagfit.records.runs import Finding, IngredientRecord, RepeatsRecord, SeedSpread
from tagfit.report import files as reporting
from tagfit.report.compose import RunFiles
from tagfit.runs.record import SetAside

PLAIN = Recipe(name="plain", model=DenseModel(widths=(16,)), training=Training(epochs=12, patience=0))


@pytest.fixture(scope="session")
def cured(tmp_path_factory):
    """The run folder of a cure of small images, some of which are copies, with two recipes tried."""
    x = scenes(90)
    labels_NL = np.random.default_rng(0).integers(0, 2, size=(90, 2), dtype=np.int8)
    x[..., :2] = np.clip(x[..., :2] * 0.6 + 90.0 * labels_NL[:, None, None, :], 0, 255)
    x[1::30], labels_NL[1::30] = np.clip(x[::30] * 0.95 + 8, 0, 255), labels_NL[::30]  # nearly the same
    candidates = tuple(
        replace(PLAIN, name=name, training=Training(epochs=epochs)) for name, epochs in (("a", 3), ("b", 20))
    )
    data = locked(image_table(samples=90, x=x, labels_NL=labels_NL))
    return cure(data, candidates, baseline=PLAIN, output=tmp_path_factory.mktemp("cured") / "run").folder


@pytest.fixture(scope="session")
def records(cured):
    """What that folder holds."""
    return reporting.read_run(cured)


@pytest.fixture(scope="session")
def renamed(records):
    """Makes the same run with other labels: as many as there are names, which samples and recipes bear as well."""
    return partial(_renamed, records)


def _renamed(records, names):
    """The same run, whose labels, samples, recipes and findings have these names."""
    record, saved = records.record, records.predictions
    count, L = len(names), len(names)
    rng = np.random.default_rng(0)

    def wider(answers):
        n = len(answers.labels_NL)
        scores = rng.random((n, L)).astype(np.float32)
        return Answers((rng.random((n, L)) < 0.4).astype(np.int8), scores, scores > 0.5)

    runs = {run: {part: wider(one) for part, one in by_part.items()} for run, by_part in saved.runs.items()}
    samples = {part: tuple(names[row % count] for row in range(len(all_))) for part, all_ in saved.names.items()}
    finding = Finding(names[0], 0.5, None, " ".join(names)[:1000], names[1], names[2], tuple(names), of="after")
    first = record.tried[0]
    data = replace(
        record.data,
        name=names[0],
        label_names=tuple(names),
        notes=tuple(names),
        set_aside=tuple(SetAside(name, name) for name in names),
        source=DataSource(names[3], images=names[4]),
    )
    spread = SeedSpread(0.8, 0.01)
    without = RepeatsRecord(first.recipe, 5, spread, spread)
    changed = replace(
        record,
        data=data,
        findings=(finding,),
        tried=tuple(replace(first, recipe=replace(first.recipe, name=name)) for name in names),
        ingredients=tuple(IngredientRecord(name, 0.1, 0.02, without) for name in names),
    )
    return RunFiles(names[0], changed, records.command, replace(saved, names=samples, runs=runs))


@pytest.fixture
def folder(cured, tmp_path):
    """A copy of the run folder, to change."""
    return Path(shutil.copytree(cured, tmp_path / "run"))
