"""MODEL_CARD.md: what a person should know of a model before it is used, from a result's record alone.

What others have written (names of labels, files and recipes) is shown as text, whatever it looks like.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tagfit.decisions.rules import Rule
from tagfit.metrics.titles import TITLES
from tagfit.records.scores import LOWER_IS_BETTER, SCORED_PARTS

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


def model_card(record: Mapping[str, Any]) -> str:
    """The card of what is handed over.

    Args:
        record: what result.json holds.
    """
    data = record["data"]
    sections = {
        "Intended use": _use(record),
        "Data": _data(data),
        "Recipe": _recipe(record),
        "Scores": _scores(record),
        "Decisions": _decisions(record),
        "Findings": _findings(record),
        "Limits": _limits(record),
    }
    lines = [f"# Model card: {plain(data['name'])}", "", *map(plain, record["verdict"]["sentences"])]
    for title, section in sections.items():
        lines += ["", f"## {title}", "", *section]
    made = f"Written by tagfit {record['tagfit']} from the records of `tagfit {record['command']}`"
    return "\n".join([*lines, "", f"{made}, lock {record['lock']}.", ""])


# ------------------------------------------------------------------------------------------ its sections


def _use(record: Mapping[str, Any]) -> Iterator[str]:
    data = record["data"]
    takes = "images" if _takes_images(data) else f"rows of {data['preprocessing']['shape'][0]:,} features"
    yield (
        f"It gives {len(data['label_names']):,} labels, any number of them at once, to {takes} that come from where "
        "the samples below came from. It was scored on nothing else: another camera, place, time or way of labelling "
        "makes other scores. `tagfit evaluate BUNDLE DATA` says what it is worth on labelled samples of your own."
    )


def _takes_images(data: Mapping[str, Any]) -> bool:
    return data["kind"] == "images" or "backbone" in data["preprocessing"]


def _data(data: Mapping[str, Any]) -> Iterator[str]:
    parts = {part: count for part, count in data["parts"].items() if count}
    counts = ", ".join(f"{part} {count:,}" for part, count in parts.items())
    folds = f", train in {data['folds']} folds" if data["folds"] else ""
    yield f"{plain(data['name'])}: {data['samples']:,} samples ({counts}{folds})."
    preprocessing = data["preprocessing"]
    if data["kind"] == "images":
        height, width, _ = preprocessing["shape"]
        yield f"Each image is made {width} x {height} pixels, as a whole."
    if "backbone" in preprocessing:
        size = preprocessing["backbone"]["form"]["size"]
        yield f"A backbone looks at each image, at {size} x {size} pixels; networks are given the features it makes."
    yield ""
    yield from _table(["label", *(f"yes in {part}" for part in parts), "unknown"], _label_rows(data, parts))
    if data["notes"] or data["set_aside"]:
        yield ""
    yield from (f"- {plain(note)}" for note in data["notes"])
    if data["set_aside"]:
        yield f"- {len(data['set_aside']):,} images could not be read and were set aside:"
        yield from (f"  - {plain(one['sample'])}: {plain(one['reason'])}" for one in data["set_aside"][:SHOWN])


def _label_rows(data: Mapping[str, Any], parts: Mapping[str, int]) -> Iterator[list[str]]:
    for number, name in enumerate(data["label_names"]):
        unknown = sum(counts[number] for counts in data["unknown"].values())
        yield [plain(name), *(f"{data['positives'][part][number]:,}" for part in parts), f"{unknown:,}"]


def _recipe(record: Mapping[str, Any]) -> Iterator[str]:
    after = record["after"]
    recipes = after["members"] or [after["recipe"]]
    distinct = {str(one): one for one in recipes}
    counts = Counter(map(str, recipes))
    if len(recipes) > 1:
        yield f"The mean of the probabilities of {len(recipes)} networks, each trained by itself."
        yield ""
    for key, recipe in distinct.items():
        times = f"{counts[key]} networks: " if len(recipes) > 1 else ""
        yield f"- {times}{plain(recipe['name'])}. {_model(recipe['model'])} {_training(recipe['training'])}"
    yield ""
    yield f"{after['parameters']:,} weights. Every field is in `members` of `manifest.json`."


def _model(model: Mapping[str, Any]) -> str:
    options = {name: value for name, value in model.items() if name not in ("architecture", "backbone", "revision")}
    kinds = {
        "dense": "A dense network",
        "cnn": "A residual convolutional network",
        "fine-tuned": "The backbone, its upper blocks trained further",
    }
    return f"{kinds[model['architecture']]}: {_listed(options)}."


def _training(training: Mapping[str, Any]) -> str:
    idle = {"train_ceiling": 1.0, "augmentation_strength": training["augmentation_strength"]}
    if training["augmentation"]:
        del idle["augmentation_strength"]
    return f"Trained with Adam: {_listed({name: one for name, one in training.items() if idle.get(name) != one})}."


def _listed(options: Mapping[str, Any]) -> str:
    """Fields that are set, as `widths 128, 64; dropout 0.4`."""
    texts = [
        plain(name.replace("_", " ") + ("" if value is True else f" {_value(value)}"))
        for name, value in options.items()
        if value not in (False, 0, "", [])
    ]
    return "; ".join(texts) or "plain"


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _scores(record: Mapping[str, Any]) -> Iterator[str]:
    after = record["after"]
    parts = [part for part in SCORED_PARTS if after["scores"].get(part) is not None]
    if record["refit"] is not None:
        yield "**These are the scores of the same recipe on train alone.** No split scores the network handed over."
        yield ""
    columns = [column for part in parts for column in (part, f"{part}: constant")]
    yield from _table(["metric", *columns], (_score_row(after, name, parts) for name in TITLES))
    yield ""
    losses = ", ".join(TITLES[name] for name in TITLES if name in LOWER_IS_BETTER)
    yield (
        "In brackets the 95% interval over samples: what chance alone would move. Beside each part stands what the "
        f"best constant baseline gets. Labels are given above 0.5. Less is better of {losses}."
    )


def _score_row(after: Mapping[str, Any], name: str, parts: Sequence[str]) -> list[str]:
    row = [TITLES[name]]
    for part in parts:
        interval = (after["intervals"]["scores"].get(part) or {}).get(name)
        between = "" if interval is None else f" ({_number(interval[0])}–{_number(interval[1])})"
        constant = after["constant"].get(part)
        row += [_number(after["scores"][part][name]) + between, _number(None if constant is None else constant[name])]
    return row


def _decisions(record: Mapping[str, Any]) -> Iterator[str]:
    after = record["after"]
    decider, names = after["decider"], record["data"]["label_names"]
    method, fitted_on = decider["calibration"]["method"], decider["fitted_on"]
    if method == "none":
        yield "- The scores are taken for probabilities as they are: no calibration made them better."
    else:
        before, calibrated = (_number(after["calibration"][when]["ece"]) for when in ("before", "after"))
        yield (
            f"- Probabilities are the scores calibrated by {method}, fitted on {fitted_on}; ECE {before} before and "
            f"{calibrated} after, cross-fitted."
        )
    if decider["rule"] is None:
        yield "- A label is given where its score is above 0.5."
    else:
        rule = Rule.from_dict(decider["rule"], labels=len(names))
        yield f"- Labels are given for {plain(decider['wish'])}: {plain(rule.describe(names))}."
    if decider["guaranteed"] is not None:
        yield f"- {plain(decider['guaranteed']['sentence'])} {plain(decider['guaranteed']['evidence'])}"
    if after["refusal"] is not None:
        yield f"- The guarantee that was asked for cannot be given: {plain(after['refusal'])}"


def _findings(record: Mapping[str, Any]) -> Iterator[str]:
    found = [one for one in record["findings"] if one["of"] == "after"]
    if not found:
        yield "The checks that need no further training found nothing wrong."
    for number, one in enumerate(found, 1):
        yield f"{number}. {plain(one['meaning'])} {plain(one['seen'])}"


def _limits(record: Mapping[str, Any]) -> Iterator[str]:
    data = record["data"]
    if record["tried"]:
        yield f"- Val chose this where {len(record['tried'])} recipes were tried, so its scores on val flatter it."
    elif not data["folds"]:
        yield "- Val may have said when to stop, so that its scores there flatter it a little."
    if data["folds"]:
        yield "- Its scores on val are of the folds' networks, each on samples that it has not seen, not of their mean."
    if not data["parts"]["test"]:
        yield "- There is no test part: no sample was scored that had no say in what was chosen."
    if record["state"] == "stopped":
        yield "- It was stopped before all was done."
    if record["refit"] is not None:
        samples = record["refit"]["samples"]
        yield f"- It was trained again on {samples:,} samples, and that network was not scored."
    yield (
        "- Near-copies and neighbours of training samples flatter every score. What is known of them stands with the "
        "data; what no file shows, such as the same place in another year, is known to whoever took the images."
    )
    if "backbone" in data["preprocessing"]:
        one = data["preprocessing"]["backbone"]
        revision = f", revision {plain(one['revision'])}" if one["revision"] else ""
        yield (
            f"- It brings knowledge from outside: the backbone {plain(one['name'])}{revision} was trained elsewhere, "
            "on other images, under a licence of its own. Whether test images were among them is not known."
        )
    few = [name for name, count in zip(data["label_names"], data["positives"]["train"], strict=True) if count < FEW]
    if few:
        more = f" and {len(few) - SHOWN} more" if len(few) > SHOWN else ""
        yield f"- Fewer than {FEW} samples of train have: {', '.join(map(plain, few[:SHOWN]))}{more}."
    if any(map(sum, data["unknown"].values())):
        yield "- Unknown cells are left out of every score, which is fair only where they are unknown by chance."
    if record["after"]["decider"]["guaranteed"] is not None:
        yield "- The guarantee holds for samples drawn as those it was fitted on, on average, not for each of them."


# ---------------------------------------------------------------------------------------------- its marks


def _table(head: Sequence[str], rows: Iterator[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|---{'|---:' * (len(head) - 1)}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 3) + 0.0:.3f}"  # + 0.0: never -0.000
