"""Holds every sentence of a verdict against the figures of its record: each form of sentence has a check of its own."""

import re

from tagfit.metrics.titles import TITLES

NUMBER = r"(\d\.\d{3})"
DECIDED = ("micro_f1", "macro_f1", "sample_f1", "subset_accuracy")
MOVED = r"([+-]\d\.\d{3} \((?:inside the noise; )?95%: [+-]\d\.\d{3} to [+-]\d\.\d{3}\))"
TITLE = f"(?:{'|'.join(map(re.escape, TITLES.values()))})"
RECIPES = r"(\d+) recipes?"
SIZE = r"([\d,]+) (samples?|groups? of samples)"

#: by the form of a sentence: whether it is true of a record
FORMS = {}

#: the forms of sentences that a record adds to those of its verdict: other tests drive them
ADDED = set()


def form(pattern, added=False):
    compiled = re.compile(pattern.replace("TITLE", TITLE))

    def add(check):
        FORMS[compiled] = check
        if added:
            ADDED.add(compiled)
        return check

    return add


def contradictions(record):
    """The sentences that the record contradicts, and those that nobody can check."""
    return [text for text in record.verdict.sentences if not any(holds for _, holds in _found(text, record))]


def forms_of(record):
    """The forms of its sentences."""
    return {pattern for text in record.verdict.sentences for pattern, _ in _found(text, record)}


def _found(text, record):
    for pattern, check in FORMS.items():
        if match := pattern.fullmatch(text):
            yield pattern, check(Figures(record), *match.groups())


def near(text, value):
    return value is not None and abs(float(text) - value) <= 0.0005 + 1e-9


class Figures:
    """What sentences speak of."""

    def __init__(self, record):
        self.record, self.metric = record, record.target.metric
        self.target, self.expected, self.choice = record.target, record.expected, record.choice
        self.train, self.val, self.test = (record.after.score(part, self.metric) for part in ("train", "val", "test"))
        self.finished = [trial for trial in record.tried if trial.state == "finished"]
        self.cured = record.before is not None and record.after.recipe != record.before.recipe

    def in_band(self, run):
        train = run.score("train", self.metric)
        return train is not None and (train < self.target.train_below or self.target.train_below >= 1)

    def meets(self, run):
        return self.at(run) >= self.target.val_at_least and (not self.target.train_ranks or self.in_band(run))

    def at(self, run, part="val"):
        score = run.score(part, self.metric)
        return -1 if score is None else score

    def tried(self, name):
        return next(trial for trial in self.finished if trial.recipe.name == name)

    def moved(self, part):
        return self.record.difference(part, self.metric)

    def passed(self, name, reason):
        return next(one for one in self.choice.passed_over if (one.name, one.reason) == (name, reason))

    def claim(self, name, others, val):
        """Whether a recipe that is passed over has the claim that the sentence says, and so many others have it."""
        trial = self.tried(name)
        count = 0 if others is None else 1 if "one other" in others else int(re.search(r"\d+", others)[0])
        claim = self.at(trial) > self.val if val else self.meets(trial) and not self.meets(self.record.after)
        return claim and (not val or near(val, self.at(trial))) and count < max(len(self.finished), 1)

    def state(self):
        """The verdict, from the figures alone."""
        asked, expected, after = self.target.val_at_least, self.expected, self.record.after
        if expected.value is None or expected.probability is None:
            return "cannot tell"
        if not self.target.train_ranks or self.in_band(after):
            if expected.probability >= 0.95:
                return "cured" if self.cured else "fine"
            if expected.value >= asked:
                return "cannot tell"
            if self.at(after) >= asked:
                return "not confirmed"
        if any(one.of == "after" and one.meaning.startswith("The model overfits") for one in self.record.findings):
            return "overfit"
        return "underfit" if self.train is not None and self.train < asked else "out of reach"


def same_move(text, moved):
    numbers = re.findall(r"[+-]\d\.\d{3}", text)
    noise = moved.low <= 0 <= moved.high
    values = (moved.value, moved.low, moved.high)
    return all(map(near, numbers, values)) and ("inside the noise" in text) == noise


# ---------------------------------------------------------------------------------------------- headline

#: what stands before the number to quote, by whether the target can be said to be missed
NAME = r"([A-Z][^:]+)"
LESS_PLUS = r"(, less what the choice adds)?(, plus what averaging the folds' networks brings)?"
WHERE = rf"\((test|val{LESS_PLUS}); "


def from_val(figures, less, plus):
    return (less is not None) == (optimism_of(figures) > 0) and (plus is not None) == bool(figures.expected.averaging)


def optimism_of(figures):
    return 0.0 if figures.choice is None else figures.choice.optimism


def headline(figures, name):
    """The state that the figures make, and how they compare: both are in the name, and nothing else is."""
    state, beside = figures.state(), compared(figures)
    if figures.record.verdict.state != state:
        return False
    if figures.record.before is None or state not in ("overfit", "underfit", "out of reach"):
        called = "Cannot tell whether the target is met" if state == "cannot tell" else state.capitalize()
        return name == called + (f", {beside}" if beside else "")
    missed = f"the target is not met ({state})"
    whole = {
        "better than the baseline": f"better than the baseline, but {missed}",
        "worse than the baseline": f"worse than the baseline, and {missed}",
        "the baseline is delivered": f"{missed}, and the baseline is delivered",
        "not shown to be better than the baseline": f"{missed}, and the model is {beside}",
        "": missed,
    }[beside]
    return name == whole[0].upper() + whole[1:]


def compared(figures):
    if not figures.cured:
        return "" if figures.record.before is None else "the baseline is delivered"
    moved = figures.moved(figures.expected.part)
    if moved is None:
        return ""
    optimism = figures.choice.optimism if figures.expected.part == "val" else 0.0
    low, high = moved.low - optimism, moved.high - optimism
    if low > 0:
        return "better than the baseline"
    return "worse than the baseline" if high < 0 else "not shown to be better than the baseline"


def quoted(figures, value, where, less, plus):
    expected = figures.test
    if where != "test":
        expected = figures.at(figures.record.after) - optimism_of(figures) + figures.expected.averaging
        if not from_val(figures, less, plus):
            return False
    return near(value, expected) and near(value, figures.expected.value) and (figures.test is None) != (where == "test")


@form(
    rf"{NAME}: expect TITLE {NUMBER} on new samples {WHERE}"
    rf"95%: {NUMBER} to {NUMBER}\), at least {NUMBER} with probability (above 0\.99|below 0\.01|0\.\d\d)\."
)
def _(figures, name, value, where, less, plus, low, high, asked, probability):
    found = figures.expected.probability
    bounds = {"above 0.99": (0.99, 1), "below 0.01": (0, 0.01)}
    least, most = bounds.get(probability) or (float(probability) - 0.0051, float(probability) + 0.0051)
    return (
        headline(figures, name)
        and quoted(figures, value, where, less, plus)
        and all(map(near, (low, high), figures.expected.interval))
        and near(asked, figures.target.val_at_least)
        and least <= found <= most
    )


@form(rf"{NAME}: TITLE {NUMBER} {WHERE}{SIZE}, too few for an interval\)\.")
def _(figures, name, value, where, less, plus, count, what):
    quotes = headline(figures, name) and quoted(figures, value, where, less, plus)
    return quotes and few(figures, count, what) and figures.expected.interval is None


@form(rf"{NAME}: TITLE is undefined on (test|val)\.")
def _(figures, name, part):
    return headline(figures, name) and figures.record.after.score(part, figures.metric) is None


# ----------------------------------------------------------------------------------------------- meaning


@form(r"The target is met\.")
def _(figures):
    return figures.record.target.met and figures.expected.probability >= 0.95


@form(r"The baseline meets the target: nothing to cure\.")
def _(figures):
    return figures.record.target.met and figures.record.before is not None and not figures.cured


@form(r"Val meets the target, test does not confirm it\.")
def _(figures):
    return figures.meets(figures.record.after) and figures.test < figures.target.val_at_least


@form(r"Val meets the target, but not once what the choice adds is taken off\.")
def _(figures):
    return figures.meets(figures.record.after) and figures.val - figures.choice.optimism < figures.target.val_at_least


@form(r"So the target cannot be judged\.")
def _(figures):
    return figures.expected.value is None


@form(r"So there is no verdict\.")
def _(figures):
    return figures.expected.value is not None and figures.expected.interval is None


@form(rf"{SIZE} on (test|val) are too few to tell: {NUMBER} and {NUMBER} look alike\.")
def _(figures, count, what, part, asked, low):
    interval = figures.expected.interval
    return (
        near(asked, figures.target.val_at_least)
        and near(low, interval.low)
        and figures.target.val_at_least in interval
        and part == figures.expected.part
        and few(figures, count, what)
    )


def few(figures, count, what):
    expected = figures.expected
    alone = expected.samples == expected.groups
    kinds = ("samples", "sample") if alone else ("groups of samples", "group of samples")
    return int(count.replace(",", "")) == expected.groups and what == kinds[expected.groups == 1]


@form(r"It knows its training samples far better than new ones\.")
def _(figures):
    return figures.train - figures.val > 0.05


@form(r"It has learnt too little: even on train it stays below what is asked of new samples\.")
def _(figures):
    return figures.train < figures.target.val_at_least


@form(r"Val and what is expected of new samples reach what was asked; only the train band is missed\.")
def _(figures):
    reached = min(figures.val, figures.expected.value) >= figures.target.val_at_least
    return reached and not figures.in_band(figures.record.after)


@form(r"(?:The target is not met|It does not overfit beyond noise, and yet the target is not met)\.")
def _(figures):
    return not figures.record.target.met and figures.state() == "out of reach"


# ----------------------------------------------------------------------------------------------- remarks


@form(
    rf"TITLE (?:on train {NUMBER}, (?:asked below {NUMBER}: (met|missed)|nothing asked); )?on val {NUMBER}, asked at "
    rf"least {NUMBER}: (met|missed)\."
)
def _(figures, train, below, band, val, asked, met):
    met_word = {True: "met", False: "missed"}
    return (
        (train is None) == (figures.train is None)
        and (train is None or near(train, figures.train))
        and (band is None or band == met_word[figures.in_band(figures.record.after)])
        and (below is None or near(below, figures.target.train_below))
        and near(val, figures.val)
        and near(asked, figures.target.val_at_least)
        and met == met_word[figures.val >= figures.target.val_at_least]
    )


@form(r"It was stopped before its training was over, so all this is preliminary\.")
def _(figures):
    return figures.record.after.state == "stopped"


@form(r"It saw images changed at random in training \((.*)\), as was allowed\.")
def _(figures, changes):
    training = figures.record.after.recipe.training
    return changes.split(";")[0] == ", ".join(training.augmentation) and training.augmentation_strength > 0


@form(r"Of train only yes is known, so that it cannot be scored: val alone chose\.")
def _(figures):
    return figures.train is None and not figures.target.train_ranks


@form(r"The train band did not rank the recipes: val alone chose\.")
def _(figures):
    return not figures.target.train_ranks


@form(r"No further recipe was tried to its end\.")
def _(figures):
    return not figures.finished


@form(rf"Of {RECIPES} tried none scores more on val: the baseline is what is delivered\.")
def _(figures, count):
    best = max(figures.at(trial) for trial in figures.finished)
    return int(count) == len(figures.finished) and not figures.cured and best <= figures.at(figures.record.before)


@form(rf"On val, which chose it among {RECIPES}, it moves from {NUMBER} to {NUMBER}(?:, {MOVED})?\.")
def _(figures, count, old, new, moved):
    return int(count) == len(figures.finished) and moves(figures, "val", old, new, moved)


@form(
    rf"On test, which chose nothing, it moves from {NUMBER} to {NUMBER}(?:, {MOVED})?\."
    r"( The gain on val did not carry over\.)?"
)
def _(figures, old, new, moved, lost):
    gained = figures.at(figures.record.after) > figures.at(figures.record.before)
    carried = figures.test > figures.at(figures.record.before, "test")
    return moves(figures, "test", old, new, moved) and (lost is not None) == (gained and not carried)


def moves(figures, part, old, new, moved):
    there = figures.moved(part)
    scores = near(old, figures.at(figures.record.before, part)) and near(new, figures.at(figures.record.after, part))
    return scores and (there is None if moved is None else same_move(moved, there))


@form(rf"Val chose among {RECIPES} and the baseline: by luck alone, what it chooses looks {NUMBER} better there\.")
def _(figures, count, optimism):
    return int(count) == figures.choice.among == len(figures.finished) and near(optimism, figures.choice.optimism)


@form(rf"An ensemble is delivered, since val prefers it to its best member: (.*?) moves by {MOVED}\.")
def _(figures, what, moved):
    decided, difference = figures.choice.ensemble
    better = difference.low > 0 if decided == figures.metric else decided == "log_loss" and difference.high < 0
    return (
        what == (TITLES[figures.metric] if decided == figures.metric else "the log loss")
        and better
        and same_move(moved, difference)
        and len(figures.record.after.networks) > 1
    )


CLAIM = rf"(.+?) (?:scores|meets the target) (?:more )?on val(?: \((as .*? others? do(?:es)?)\))?(?:, {NUMBER})?"


@form(rf"{CLAIM}(?: \({MOVED}\))?, but is outside the train band\. --train-below 1 would ask nothing of train\.")
def _(figures, name, others, val, moved):
    passed = figures.passed(name, "train band")
    banded = not figures.in_band(figures.tried(name)) and figures.in_band(figures.record.after)
    return figures.claim(name, others, val) and banded and (moved is None or same_move(moved, passed.ahead))


@form(rf"{CLAIM}, but scores below the baseline there: it is not delivered\.")
def _(figures, name, others, val):
    trial = figures.tried(name)
    below = figures.at(trial) < figures.at(figures.record.before)
    return figures.claim(name, others, val) and below and figures.meets(trial)


@form(rf"{CLAIM}, by no more than a standard error: (.+), which is simpler, is taken\.")
def _(figures, name, others, val, instead):
    ahead = figures.passed(name, "simpler").ahead
    return figures.claim(name, others, val) and (ahead is None or ahead.value <= ahead.error + 1e-9)


@form(
    rf"{CLAIM}, and {NUMBER} on average over seeds against {NUMBER}, by no more than a standard error: (.+), which is "
    r"simpler, is taken\."
)
def _(figures, name, others, val, mean, other, instead):
    ahead = figures.passed(name, "simpler").ahead
    means = seeds(figures, name, mean) and seeds(figures, instead, other)
    return figures.claim(name, others, val) and means and float(mean) - float(other) <= ahead.error + 0.001


@form(rf"{CLAIM}, but misses the target on most further seeds, which (.+) does not\.")
def _(figures, name, others, val, instead):
    return figures.claim(name, others, val) and figures.passed(name, "misses on seeds").instead == instead


@form(rf"{CLAIM}, but over seeds {NUMBER} on average; (.+) {NUMBER}\.")
def _(figures, name, others, val, mean, instead, other):
    means = seeds(figures, name, mean) and seeds(figures, instead, other)
    return figures.claim(name, others, val) and means and float(mean) <= float(other)


def seeds(figures, name, mean):
    return any(one.recipe.name == name and near(mean, one.val.mean) for one in figures.record.finalists)


@form(
    rf"Val comes near the train band, {NUMBER}: what is better on new samples would leave it\. "
    r"--train-below 1 would ask nothing of train\."
)
def _(figures, band):
    return near(band, figures.target.train_below) and figures.val > figures.target.train_below - 0.02


@form(rf"A constant baseline scores {NUMBER} on val: this model is worth no more than that\.")
def _(figures, level):
    return no_better(figures, level) and not ranks_better(figures)


@form(
    rf"A constant baseline scores {NUMBER} on val: at 0\.5 this model decides no better\. It ranks better, though "
    rf"\(mAP {NUMBER}, constant {NUMBER}\)(?:: --decide-for (?:{'|'.join(DECIDED)}) fits thresholds)?\."
)
def _(figures, level, ranked, constant):
    after = figures.record.after
    named = near(ranked, after.scores["val"].map) and near(constant, after.constant["val"].map)
    return no_better(figures, level) and named and ranks_better(figures)


def no_better(figures, level):
    constant = figures.record.after.constant["val"][figures.metric]
    return near(level, constant) and figures.val <= constant


def ranks_better(figures):
    after = figures.record.after
    decides = figures.metric in DECIDED
    interval, constant = after.interval("val", "map"), after.constant["val"].map
    return decides and interval is not None and constant is not None and interval.low > constant


@form(
    r"Val and its interval are of single networks: every sample by the one of (\d+) that has not seen it\. What is "
    r"delivered is their ensemble, which no sample of train can score\."
)
def _(figures, count):
    return int(count) == len(figures.record.after.folds.each)


@form(
    r"Averaging the folds' networks is estimated to bring ([+-]\d\.\d{3}), from samples that two of them have not "
    r"learnt from\."
)
def _(figures, value):
    return near(value, figures.expected.averaging) and figures.record.after.folds is not None


@form(rf"There is no test part: what is quoted is val{LESS_PLUS}\.")
def _(figures, less, plus):
    return figures.test is None and from_val(figures, less, plus)


# ------------------------------------------------------------------------------ what else a record adds


@form(r"What is handed over was trained again on all ([\d,]+) labelled samples but test: .*", added=True)
def _(figures, count):
    return figures.record.refit is not None and int(count.replace(",", "")) == figures.record.refit.samples


@form(r"[\d,]+ of the [\d,]+ values of '.*' that recur lie in more than one part\. .*", added=True)
def _(figures):
    return figures.record.data.grouped_by == "auto"


@form(
    r"Unknown labels are (?:not open by chance|harder than known ones): .* Scores are of known labels alone, .*",
    added=True,
)
def _(figures):
    return any(map(sum, figures.record.data.unknown.values()))


@form(r"Test of this data has been scored by ([\d,]+) other runs? before: .*", added=True)
def _(figures, count):
    return int(count.replace(",", "")) + 1 == figures.record.test_run


@form(r"It brings knowledge from outside: .*", added=True)
def _(figures):
    return figures.record.data.preprocessing.backbone is not None
