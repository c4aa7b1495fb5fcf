"""A training that a cluster's ranks share, which may be lost."""

import time
from dataclasses import replace

import numpy as np
import pytest

import tagfit
from making import locked, picture_table
from tagfit.recipes import CnnModel, Recipe, Training

#: Ray Train warns of what it does itself
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

RECIPE = Recipe(
    name="shared",
    model=CnnModel(width=4, depth=0, dropout=0.0),
    training=Training(epochs=4, patience=0, batch_size=9, rate=0.01, averaging=0.9),
)


def test_two_ranks_train_what_one_process_trains(cluster, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    data, told = locked(picture_table()), []
    alone = tagfit.fit(data, recipe=RECIPE)
    t=time.time()
    shared = tagfit.fit(data, recipe=RECIPE, on="ray", on_event=told.append)
    print("took", time.time()-t, told)
    one, two = alone.record["after"]["history"], shared.record["after"]["history"]
    print(one, two)
