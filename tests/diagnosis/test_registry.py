"""Every check, by the same contract."""

import dataclasses
import json

import pytest

from making import answers, as_json, evidence
from tagfit.diagnosis.evidence import Evidence
from tagfit.diagnosis.registry import CHECKS, FREE, find_check, look
from tagfit.errors import OptionError
from tagfit.recipes import RECIPES
from tagfit.records.scores import Target

#: every code that was ever given: a check that is removed keeps its line here, so that nobody gives its code again
CODES = {
    "TAG001": "gap",
    "TAG002": "untrained",
    "TAG003": "memorisation",
    "TAG004": "more_data",
    "TAG005": "shift",
    "TAG006": "leakage",
    "TAG007": "shortcuts",
    "TAG008": "label_errors",
    "TAG009": "unlearnable",
    "TAG010": "flattery",
    "TAG011": "schedule",
    "TAG012": "pixel_shortcuts",
}


def test_codes_are_unique_and_never_given_to_another_check():
    assert len({check.code for check in CHECKS.values()}) == len(CHECKS)
    assert {check.code: name for name, check in CHECKS.items()}.items() <= CODES.items()


@pytest.mark.parametrize("text", ["label_errors", "TAG008", "tag008"])
def test_a_check_is_found_by_its_code_and_its_name(text):
    assert find_check(text) == "label_errors"


def test_a_check_that_is_not_there_is_answered_with_the_nearest():
    with pytest.raises(OptionError, match=r"no check 'labelerrors'. Did you mean 'label_errors'") as error:
        find_check("labelerrors")
    assert "label_errors (TAG008)" in error.value.todo


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
        assert finding.code == CHECKS[finding.check].code
        assert all(text[-1] in ".)" for text in (finding.seen, finding.meaning, finding.todo))
        assert dataclasses.is_dataclass(finding)
