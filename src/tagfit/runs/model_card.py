"""MODEL_CARD.md: what a person should know of a model before it is used, from a result's record alone.

What others have written (names of labels, files and recipes) is shown as text, whatever it looks like.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tagfit.io.typed_json import to_plain
from tagfit.metrics.titles import TITLES
from tagfit.recipes import CnnModel, DenseModel, FineTunedModel, Recipe, Training
from tagfit.records.scores import LOWER_IS_BETTER, SCORED_PARTS
from tagfit.runs.record import DataRecord, ModelRecord, RunRecord

#: a label with fewer positives in train is named among the limits
FEW = 20

#: how many names, reasons and findings are spelled out, and how long a text may be
SHOWN, LONGEST = 10, 600

#: what Markdown, or a site that shows it, makes something else of
_SIGNS = re.compile(r"[\\`*_\[\]|~$@#]|(?<=:)//|(?i:(?<=www)\.)")
_FIRST = re.compile(r"^(?:[-+=]|\d+(?=[.)]))")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
#: joiners, which belong to words and to emoji
_JOINERS = "\u200c\u200d"


def plain(text: str) -> str:
    """`text` in one line of Markdown that shows it as it is: no markup, HTML, link or hidden character."""
    text = "".join(map(_visible, " ".join(text.split())))
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    text = _SIGNS.sub(lambda sign: f"\\{sign[0]}", text)
    text = _FIRST.sub(lambda sign: f"{sign[0]}\\" if sign[0].isdigit() else f"\\{sign[0]}", text)
    return re.sub("[<>&]", lambda sign: _ENTITIES[sign[0]], text)


def _visible(sign: str) -> str:
    return sign if sign.isprintable() or sign in _JOINERS else f"⟨U+{ord(sign):04X}⟩"


def model_card(record: RunRecord) -> str:
    """The card of what is handed over."""
    sections = {
        "Intended use": _use(record.data),
        "Data": _data(record.data),
        "Recipe": _recipes(record.after),
        "Scores": _scores(record),
        "Decisions": _decisions(record),
        "Findings": _findings(record),
        "Limits": _limits(record),
    }
    lines = [f"# Model card: {plain(record.data.name)}", "", *map(plain, record.verdict.sentences)]
    for title, section in sections.items():
        lines += ["", f"## {title}", "", *section]
    made = f"Written by tagfit {record.tagfit} from the records of `tagfit {record.command}`"
    return "\n".join([*lines, "", f"{made}, lock {record.lock}.", ""])


# ------------------------------------------------------------------------------------------ its sections


def _use(data: DataRecord) -> Iterator[str]:
    preprocessing = data.preprocessing
    takes = "images" if preprocessing.takes_images else f"rows of {preprocessing.shape[0]:,} features"
    yield (
        f"It gives {len(data.label_names):,} labels, any number of them at once, to {takes} that come from where "
        "the samples below came from. It was scored on nothing else: another camera, place, time or way of labelling "
        "makes other scores. `tagfit evaluate BUNDLE DATA` says what it is worth on labelled samples of your own."
    )


def _data(data: DataRecord) -> Iterator[str]:
    parts = {part: count for part, count in data.parts.items() if count}
    counts = ", ".join(f"{part} {count:,}" for part, count in parts.items())
    folds = f", train in {data.folds} folds" if data.folds else ""
    yield f"{plain(data.name)}: {data.samples:,} samples ({counts}{folds})."
    if data.kind == "images":
        height, width, _ = data.preprocessing.shape
        yield f"Each image is made {width} x {height} pixels, as a whole."
    if backbone := data.preprocessing.backbone:
        size = backbone.form.size
        yield (
            f"A backbone computes features of each image, at {size} x {size} pixels; the networks take these features."
        )
    yield ""
    yield from _table(["label", *(f"yes in {part}" for part in parts), "unknown"], _label_rows(data, parts))
    if data.notes or data.set_aside:
        yield ""
    yield from (f"- {plain(note)}" for note in data.notes)
    if data.set_aside:
        yield f"- {len(data.set_aside):,} images could not be read and were left out:"
        yield from (f"  - {plain(one.sample)}: {plain(one.reason)}" for one in data.set_aside[:SHOWN])


def _label_rows(data: DataRecord, parts: Mapping[str, int]) -> Iterator[list[str]]:
    for number, name in enumerate(data.label_names):
        unknown = sum(counts[number] for counts in data.unknown.values())
        yield [plain(name), *(f"{data.positives[part][number]:,}" for part in parts), f"{unknown:,}"]


def _recipes(after: ModelRecord) -> Iterator[str]:
    counts = Counter(after.networks)
    if len(after.networks) > 1:
        yield f"The mean of the probabilities of {len(after.networks)} networks, each trained by itself."
        yield ""
    for recipe, count in counts.items():
        times = f"{count} networks: " if len(after.networks) > 1 else ""
        yield f"- {times}{plain(recipe.name)}. {_model(recipe)} {_training(recipe.training)}"
    yield ""
    yield f"{after.parameters:,} weights. Every field is in `members` of `manifest.json`."


_KINDS = {
    DenseModel: "A dense network",
    CnnModel: "A residual convolutional network",
    FineTunedModel: "The backbone, its upper blocks trained further",
}


def _model(recipe: Recipe) -> str:
    options = to_plain(recipe.model)
    named = {name: value for name, value in options.items() if name not in ("architecture", "backbone", "revision")}
    return f"{_KINDS[type(recipe.model)]}: {_listed(named)}."


def _training(training: Training) -> str:
    idle = {"train_ceiling": 1.0}
    if not training.augmentation:
        idle["augmentation_strength"] = training.augmentation_strength
    fields = to_plain(training)
    return f"Trained with Adam: {_listed({name: one for name, one in fields.items() if idle.get(name) != one})}."


def _listed(options: Mapping[str, object]) -> str:
    """Fields that are set, as `widths 128, 64; dropout 0.4`."""
    texts = [
        plain(name.replace("_", " ") + ("" if value is True else f" {_value(value)}"))
        for name, value in options.items()
        if value not in (False, 0, "", [], ())
    ]
    return "; ".join(texts) or "plain"


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _scores(record: RunRecord) -> Iterator[str]:
    after = record.after
    parts = [part for part in SCORED_PARTS if after.scores.get(part) is not None]
    if record.refit is not None:
        yield (
            "**These are the scores of the same recipe on train alone.** The delivered network has no score of its own."
        )
        yield ""
    columns = [column for part in parts for column in (part, f"{part}: constant")]
    yield from _table(["metric", *columns], (_score_row(after, name, parts) for name in TITLES))
    yield ""
    losses = ", ".join(TITLES[name] for name in TITLES if name in LOWER_IS_BETTER)
    yield (
        "In brackets the 95% interval over samples: what chance alone would move. Beside each part stands what the "
        f"best constant answer gets. Labels are given above 0.5. Less is better of {losses}."
    )


def _score_row(after: ModelRecord, name: str, parts: Sequence[str]) -> list[str]:
    row = [TITLES[name]]
    for part in parts:
        interval, constant = after.interval(part, name), after.constant.get(part)
        between = "" if interval is None else f" ({_number(interval.low)}–{_number(interval.high)})"
        row += [_number(after.score(part, name)) + between, _number(None if constant is None else constant[name])]
    return row


def _decisions(record: RunRecord) -> Iterator[str]:
    decider, calibration = record.after.decider, record.after.calibration
    if calibration.method == "none":
        yield "- The scores are used as probabilities unchanged: no calibration improved them."
    else:
        yield (
            f"- Probabilities are the scores calibrated by {calibration.method}, fitted on {decider.fitted_on}; ECE "
            f"{_number(calibration.before.ece)} before and {_number(calibration.after.ece)} after, cross-fitted."
        )
    if decider.rule is None:
        yield "- A label is given if its score is above 0.5."
    else:
        rule = decider.rule.describe(record.data.label_names)
        yield f"- Labels are given for {plain(str(decider.objective))}: {plain(rule)}."
    if decider.guaranteed is not None:
        yield f"- {plain(decider.guaranteed.sentence)} {plain(decider.guaranteed.evidence)}"
    if record.after.refusal is not None:
        yield f"- The guarantee that was asked for cannot be given: {plain(record.after.refusal)}"


def _findings(record: RunRecord) -> Iterator[str]:
    found = [one for one in record.findings if one.of == "after"]
    if not found:
        yield "The checks that need no further training found nothing wrong."
    for number, one in enumerate(found, 1):
        yield f"{number}. {plain(one.meaning)} {plain(one.seen)}"


def _limits(record: RunRecord) -> Iterator[str]:
    data = record.data
    if record.tried:
        yield f"- Val chose this among {len(record.tried)} recipes, so its scores on val are optimistic."
    elif not data.folds:
        yield "- Val may have decided when to stop, so its scores there are slightly optimistic."
    if data.folds:
        yield (
            "- Its scores on val are those of the folds' networks, each on samples it was not trained "
            "on, not those of their mean."
        )
    if not data.parts["test"]:
        yield "- There is no test part: every scored sample took part in choosing the model."
    if record.state == "stopped":
        yield "- It was stopped early."
    if record.refit is not None:
        yield f"- It was trained again on {record.refit.samples:,} samples, and that network was not scored."
    yield (
        "- Near-copies and neighbours of training samples flatter every score. What is known of them stands with the "
        "data; what no file shows, such as the same place in another year, is known to whoever took the images."
    )
    if one := data.preprocessing.backbone:
        revision = f", revision {plain(one.revision)}" if one.revision else ""
        yield (
            f"- It uses knowledge from outside the data: the backbone {plain(one.name)}{revision} was trained "
            f"elsewhere, "
            "on other images, under a licence of its own. Whether test images were among them is not known."
        )
    few = [name for name, count in zip(data.label_names, data.positives["train"], strict=True) if count < FEW]
    if few:
        more = f" and {len(few) - SHOWN} more" if len(few) > SHOWN else ""
        yield f"- Fewer than {FEW} samples of train have: {', '.join(map(plain, few[:SHOWN]))}{more}."
    if any(map(sum, data.unknown.values())):
        yield "- Unknown labels are left out of every score, which is fair only if they are unknown by chance."
    if record.after.decider.guaranteed is not None:
        yield "- The guarantee holds on average, for samples drawn like those it was fitted on, not for each one."


# ---------------------------------------------------------------------------------------------- its marks


def _table(head: Sequence[str], rows: Iterator[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|---{'|---:' * (len(head) - 1)}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 3) + 0.0:.3f}"  # + 0.0: never -0.000
