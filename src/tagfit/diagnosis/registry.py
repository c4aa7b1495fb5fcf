"""The checks of a diagnosis, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tagfit.decisions.crossfitting import FOLDS
from tagfit.diagnosis.checks import leakage, memorisation, more_data
from tagfit.diagnosis.checks.flattery import flattery
from tagfit.diagnosis.checks.gap import gap
from tagfit.diagnosis.checks.label_errors import label_errors
from tagfit.diagnosis.checks.schedule import schedule
from tagfit.diagnosis.checks.shift import shift
from tagfit.diagnosis.checks.shortcuts import shortcuts
from tagfit.diagnosis.checks.unlearnable import unlearnable
from tagfit.diagnosis.checks.untrained import untrained
from tagfit.diagnosis.evidence import CannotCheck, Evidence
from tagfit.errors import TrainingDivergedError
from tagfit.records.runs import Finding


@dataclass(frozen=True)
class Check:
    """One thing that may be wrong.

    Attributes:
        title: what it looks for, as a person would call it.
        run: returns what it found, nothing where all is well; raises CannotCheck with the reason where it cannot tell.
        trainings: how many quick trainings it needs.
        about: what it accuses.
        free: whether it costs nothing beside a model, so that every fit and cure can have it.
    """

    title: str
    run: Callable[[Evidence], list[Finding]]
    trainings: int = 0
    about: Literal["data", "model"] = "data"
    free: bool = False


#: by the name that findings and JSON call them
CHECKS: dict[str, Check] = {
    "gap": Check("the gap between train and val", gap, about="model", free=True),
    "untrained": Check("whether anything was learnt", untrained, about="model", free=True),
    "memorisation": Check("memorisation", memorisation.memorisation, trainings=memorisation.TRAININGS, about="model"),
    "more_data": Check("whether more data would help", more_data.more_data, trainings=more_data.TRAININGS),
    "shift": Check("whether train and val differ", shift),
    "leakage": Check("what a split by blocks scores", leakage.leakage, trainings=leakage.TRAININGS),
    "shortcuts": Check("shortcuts", shortcuts),
    "label_errors": Check("wrong labels", label_errors, trainings=FOLDS),
    "unlearnable": Check("labels that cannot be learnt", unlearnable),
    "flattery": Check("metrics that flatter", flattery, about="model", free=True),
    "schedule": Check("rate and schedule", schedule, about="model", free=True),
}

#: what costs a fit or a cure next to nothing
FREE = tuple(name for name, check in CHECKS.items() if check.free)

#: what is wrong with data, whatever is trained on them
OF_DATA = tuple(name for name, check in CHECKS.items() if check.about == "data")


@dataclass(frozen=True)
class Unchecked:
    """A check that could not run, and why."""

    check: str
    why: str


@dataclass(frozen=True)
class Diagnosis:
    """What checks found, the worst first, and why others could not run.

    Attributes:
        subject: what was diagnosed, in a line.
        checked: the checks that ran.
        cannot: those that could not.
    """

    findings: tuple[Finding, ...]
    cannot: tuple[Unchecked, ...]
    checked: tuple[str, ...]
    subject: str = ""


def look(evidence: Evidence, names: Iterable[str] = tuple(CHECKS), subject: str = "") -> Diagnosis:
    """Run the named checks."""
    findings: list[Finding] = []
    cannot: list[Unchecked] = []
    checked: list[str] = []
    for name in names:
        try:
            findings += [replace(finding, of=CHECKS[name].about) for finding in CHECKS[name].run(evidence)]
            checked.append(name)
        except CannotCheck as reason:
            cannot.append(Unchecked(name, str(reason)))
        except TrainingDivergedError as error:
            cannot.append(Unchecked(name, f"its training diverged at step {error.step}"))
    return Diagnosis(worst_first(findings), tuple(cannot), tuple(checked), subject)


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: -finding.strength))
