"""The checks of a diagnosis, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tagfit.diagnosis.checks import label_errors, leakage, memorisation, more_data, pixel_shortcuts
from tagfit.diagnosis.checks.flattery import flattery
from tagfit.diagnosis.checks.gap import gap
from tagfit.diagnosis.checks.schedule import schedule
from tagfit.diagnosis.checks.shift import shift
from tagfit.diagnosis.checks.shortcuts import shortcuts
from tagfit.diagnosis.checks.unlearnable import unlearnable
from tagfit.diagnosis.checks.untrained import untrained
from tagfit.diagnosis.evidence import CannotCheck, Evidence
from tagfit.errors import OptionError, TrainingDivergedError, did_you_mean
from tagfit.records.runs import Finding, Power


@dataclass(frozen=True)
class Check:
    """One thing that may be wrong.

    Attributes:
        code: its stable code. A code is never changed and never given to another check.
        title: what it looks at, as a person would call it.
        finds: what is wrong if it finds something.
        run: returns what it found; nothing, or its power, if all is well; raises CannotCheck if it cannot tell.
        trainings: how many quick trainings it needs.
        about: what it accuses.
        free: whether it costs nothing beside a model, so that every fit and cure can have it.
    """

    code: str
    title: str
    finds: str
    run: Callable[[Evidence], Sequence[Finding | Power]]
    trainings: int = 0
    about: Literal["data", "model"] = "data"
    free: bool = False


#: by the name that findings and JSON call them; a new check takes the next code
CHECKS: dict[str, Check] = {
    "gap": Check(
        "TAG001",
        "the gap between train and val",
        "overfitting, and the labels that cause it; underfitting; probabilities that are too sure on val",
        gap,
        about="model",
        free=True,
    ),
    "untrained": Check(
        "TAG002",
        "whether anything was learnt",
        "a model that has learnt nothing, not even about its training samples",
        untrained,
        about="model",
        free=True,
    ),
    "memorisation": Check(
        "TAG003",
        "memorisation",
        "a recipe that learns shuffled labels as easily as the real ones",
        memorisation.memorisation,
        trainings=memorisation.TRAININGS,
        about="model",
    ),
    "more_data": Check(
        "TAG004",
        "whether more data would help",
        "too little data: what twice as many samples would bring",
        more_data.more_data,
        trainings=more_data.TRAININGS,
    ),
    "shift": Check(
        "TAG005",
        "whether train and val differ",
        "a val part that differs from train, in what samples look like or in how frequent labels are",
        shift,
    ),
    "leakage": Check(
        "TAG006",
        "leakage between train and val",
        "copies, near-copies, groups and runs of neighbours on both sides of the split",
        leakage.leakage,
        trainings=leakage.TRAININGS,
    ),
    "shortcuts": Check(
        "TAG007",
        "shortcuts",
        "labels that the size, format, camera, folder, name, number or order of the files gives away",
        shortcuts,
    ),
    "pixel_shortcuts": Check(
        "TAG012",
        "shortcuts in the pixels",
        "labels that a mark on the images gives away: a watermark, a caption, a border",
        pixel_shortcuts.pixel_shortcuts,
        trainings=pixel_shortcuts.TRAININGS,
    ),
    "label_errors": Check(
        "TAG008",
        "wrong labels",
        "missing and false labels, ranked, and how far to trust each list",
        label_errors.label_errors,
        trainings=label_errors.TRAININGS,
    ),
    "unlearnable": Check(
        "TAG009",
        "labels that cannot be learnt",
        "labels with too few samples, labels that are never alone, labels no better than chance, synonyms",
        unlearnable,
    ),
    "flattery": Check(
        "TAG010",
        "metrics that flatter",
        "a model no better than a constant baseline; accuracies that look far better than F1 and mAP",
        flattery,
        about="model",
        free=True,
    ),
    "schedule": Check(
        "TAG011",
        "learning rate and schedule",
        "trainings cut short, past their best or diverging; dead units; batches too small for BatchNorm",
        schedule,
        about="model",
        free=True,
    ),
}

#: what costs a fit or a cure next to nothing
FREE = tuple(name for name, check in CHECKS.items() if check.free)

#: what is wrong with data, whatever is trained on them
OF_DATA = tuple(name for name, check in CHECKS.items() if check.about == "data")


def find_check(text: str) -> str:
    """The name of the check with this code, in upper or lower case, or this name.

    Raises:
        OptionError: there is no such check.
    """
    by_code = {check.code: name for name, check in CHECKS.items()}
    if text in CHECKS or text.upper() in by_code:
        return by_code.get(text.upper(), text)
    raise OptionError(
        f"there is no check {text!r}.{did_you_mean(text, [*CHECKS, *by_code])}",
        f"The checks are {', '.join(f'{name} ({check.code})' for name, check in CHECKS.items())}.",
    )


@dataclass(frozen=True)
class Unchecked:
    """A check that could not run, and why."""

    check: str
    why: str

    @property
    def code(self) -> str:
        """The stable code of the check."""
        return CHECKS[self.check].code


@dataclass(frozen=True)
class DiagnosisRecord:
    """What checks found, the worst first, and why others could not run.

    Attributes:
        subject: what was diagnosed, in a line.
        checked: the checks that ran.
        cannot: those that could not.
        ignored: those that were left out on request.
        powers: what checks that found nothing would have found.
    """

    findings: tuple[Finding, ...]
    cannot: tuple[Unchecked, ...]
    checked: tuple[str, ...]
    subject: str = ""
    ignored: tuple[str, ...] = ()
    powers: tuple[Power, ...] = ()


def look(
    evidence: Evidence, names: Iterable[str] = tuple(CHECKS), subject: str = "", ignored: tuple[str, ...] = ()
) -> DiagnosisRecord:
    """Run the named checks; `ignored` are the names of those that were left out on request."""
    findings: list[Finding] = []
    cannot: list[Unchecked] = []
    checked: list[str] = []
    powers: list[Power] = []
    for name in names:
        try:
            check = CHECKS[name]
            found = check.run(evidence)
            findings += [replace(one, of=check.about, code=check.code) for one in found if isinstance(one, Finding)]
            powers += [one for one in found if isinstance(one, Power)]
            checked.append(name)
        except CannotCheck as reason:
            cannot.append(Unchecked(name, str(reason)))
        except TrainingDivergedError as error:
            cannot.append(Unchecked(name, f"its training diverged at step {error.step}"))
    return DiagnosisRecord(worst_first(findings), tuple(cannot), tuple(checked), subject, ignored, tuple(powers))


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: -finding.strength))
