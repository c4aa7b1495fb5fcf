"""Many labels take memory by the label, and not by the pair of labels: 10,000 of 200 samples once took 4.5 GB."""

from __future__ import annotations

import json
import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest

from making import PROVE

pytest.importorskip("resource", reason="the peak of a process is asked of Unix")


def peak_of(code, *arguments):
    """What a process prints as JSON."""
    done = subprocess.run([sys.executable, "-c", dedent(code), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_scores_baselines_and_confusions_of_many_labels():
    """5,000 labels are 25 million pairs: of each 8 bytes would be 200 MB, and there were six such tables."""
    grown = peak_of(
        """
        import resource, numpy as np
        from tagfit.metrics.baselines import ConstantBaseline
        from tagfit.metrics.intervals import LEAST, Answers, Resampling, resample
        from tagfit.report.labels import Confused
        from tagfit.report.samples import CONFUSIONS

        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        rng = np.random.default_rng(0)
        labels_NL = (rng.random((40, 5000)) < 0.1).astype(np.int8)
        before = peak()
        answers = Answers(labels_NL, rng.random(labels_NL.shape, dtype=np.float32), labels_NL[::-1] == 1)
        ConstantBaseline.choose(labels_NL)
        chosen = peak()
        resample(answers, Resampling.of(len(labels_NL), resamples=LEAST // 10))
        resampled = peak()
        Confused.of(answers).most(CONFUSIONS)
        print([chosen - before, resampled - before, peak() - before])
        """
    )
    assert max(grown) < 180_000, grown


@pytest.mark.skipif(not PROVE, reason="trains for minutes: make prove")
@pytest.mark.parametrize(("labels", "samples"), [(10_000, 200), (20_000, 12)])
def test_a_fit_of_many_labels(tmp_path, labels, samples):
    """With its page; it prints the peak of memory."""
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(samples, 20)).astype(np.float32), rng.normal(size=(20, labels))
    y = x @ weights + 2 * rng.normal(size=(samples, labels)) > rng.uniform(-2, 6, size=labels)
    np.savez(tmp_path / "data.npz", X=x, y=y)
    peak = peak_of(
        """
        import resource, sys, tagfit

        tagfit.fit(sys.argv[1], output=sys.argv[2])
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        """,
        str(tmp_path / "data.npz"),
        str(tmp_path / "run"),
    )
    print(f"\n{labels} labels of {samples} samples: {peak / 1024:,.0f} MB")
    assert (tmp_path / "run" / "report.html").exists()
    assert peak < 1_500_000
