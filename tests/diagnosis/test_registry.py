"""Every check, by the same contract."""

import dataclasses
import json

import pytest

from making import answers, as_json, evidence
from tagfit.diagnosis.evidence import Evidence
from tagfit.diagnosis.registry import CHECKS, FREE, look
from tagfit.recipes import RECIPES
from tagfit.records.scores import Target


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_without_evidence_says_why_it_cannot_run(name):
    nothing = Evidence(Target(), RECIPES["dense-baseline"], ("a", "b"), lacks={"predictions": "nobody asked it"})
    diagnosis = look(nothing, [name])
    assert not diagnosis.findings
    assert [one.check for one in diagnosis.cannot if one.why] == [name]


def test_findings_are_told_the_worst_first_and_are_plain_json():
    diagnosis = look(evidence(answers(2000, wrong=0.05), answers(2000, wrong=0.3, seed=1)), FREE, "it")
    record = json.loads(json.dumps(as_json(diagnosis)))
    strengths = [finding["strength"] for finding in record["findings"]]
    assert strengths
    assert strengths == sorted(strengths, reverse=True)
    for finding in diagnosis.findings:
        assert 0 <= finding.strength <= 1
        assert finding.check in CHECKS
        assert all(text[-1] in ".)" for text in (finding.seen, finding.meaning, finding.todo))
        assert dataclasses.is_dataclass(finding)
