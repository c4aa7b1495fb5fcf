import multiprocessing
import os

import numpy as np
import pytest

from making import QUICK, feature_table, locked
from tagfit.api import fit
from tagfit.errors import TagfitError

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


def _in_child(queue, action):
    try:
        action()
        queue.put("it works")
    except TagfitError as error:
        queue.put(str(error))


@pytest.mark.parametrize("what", ["predict", "fit"])
def test_work_in_a_fork_is_refused_at_once_and_not_waited_for(what):
    data = locked(feature_table())
    tagger = fit(data, recipe=QUICK).tagger
    tagger.predict(np.asarray(data.dataset.x[:2]))
    action = (
        (lambda: tagger.predict(np.asarray(data.dataset.x[:2])))
        if what == "predict"
        else (lambda: fit(data, recipe=QUICK))
    )
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue, action))
    child.start()
    assert "'spawn'" in queue.get(timeout=60)
    child.join()
