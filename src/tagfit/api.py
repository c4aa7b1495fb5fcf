"""What tagfit does, in one function each: the only module that composes the others.

What loads torch is imported where it is used: predicting does without, and so does refusing a mistaken option.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from tagfit.cluster.connection import connected, demand_place
from tagfit.decisions.decider import DecisionObjective
from tagfit.decisions.guarantees import Guarantee
from tagfit.decisions.rules import Objective
from tagfit.errors import DataError, OptionError, RecipeError, demand_extra
from tagfit.images.store import OnRead
from tagfit.inference.tagger import Inputs, Prediction, Tagger
from tagfit.options.commands import ReviewOptions, ServeOptions, SuggestKeywords, SuggestOptions
from tagfit.options.data import DataKeywords, DataOptions, ReadKeywords, ReadOptions
from tagfit.options.option import Meanings, OptionReader, Record, shows
from tagfit.options.runs import (
    CureKeywords,
    CureOptions,
    DiagnoseKeywords,
    DiagnoseOptions,
    EvaluateKeywords,
    EvaluateOptions,
    RunOptions,
    TrainKeywords,
    TrainOptions,
)
from tagfit.options.shared import DEFAULT_RECIPE, FINE_TUNED, ModelOptions
from tagfit.recipes import DenseModel, FineTunedModel, Recipe, find_recipe
from tagfit.records.data import Dataset, LockedData
from tagfit.records.scores import Target

if TYPE_CHECKING:
    from tagfit.labels.suggest import Suggestions
    from tagfit.report.result import Diagnosis, Evaluation, Inspection, Result
    from tagfit.runs.estimation import Estimate
    from tagfit.runs.loading import DataLoad
    from tagfit.runs.record import Delivered
    from tagfit.search.campaign import Budget
    from tagfit.search.plan import Plan
    from tagfit.training.events import Event, Listener


def _ignore(event: Event) -> None:
    """Listens to nothing."""


# ----------------------------------------------------------------------------------------------- options


def _demand_split(split: str | Mapping[str, float]) -> None:
    from tagfit.data.split import demand_split

    demand_split(split)


def _demand_device(name: str) -> None:
    if name not in ("auto", "cpu"):
        from tagfit.training.device import find_device

        find_device(name)


def _demand_checks(names: Iterable[str]) -> None:
    from tagfit.diagnosis.registry import find_check

    for name in names:
        find_check(name)


#: what options mean to the rooms that know it; these are loaded once such an option is given: every command reads this
MEANINGS: Meanings = {
    "split": _demand_split,
    "decide_for": Objective.parse,
    "guarantee": Guarantee.parse,
    "device": _demand_device,
    "on": demand_place,
    "metric": Target,
    "recipe": find_recipe,
    "ignore": _demand_checks,
    "baseline": find_recipe,
}


def _checked(kind: type[Record], given: Mapping[str, object]) -> Record:
    reader = OptionReader(MEANINGS)
    record = reader.read(kind, given)
    reader.check()
    return record  # type: ignore[return-value]  # None only with faults, which are raised


def recipe_of(options: RunOptions) -> Recipe:
    """The recipe that `fit` trains, or that `cure` is to cure.

    Raises:
        RecipeError: it changes the data without being allowed to, or a cluster is of no use for it.
    """
    if isinstance(options, CureOptions):
        recipe = find_recipe(options.baseline)
    else:
        named = options.recipe if isinstance(options, TrainOptions) else None
        recipe = find_recipe(named or (FINE_TUNED if options.fine_tune else DEFAULT_RECIPE))
        if options.on is not None and isinstance(recipe.model, DenseModel):
            raise RecipeError(
                f"recipe {recipe.name!r} is dense: one machine trains it faster than a cluster could",
                "Remove --on, or use a CNN or a fine-tuned network: --recipe cnn.",
            )
    if recipe.training.augmentation and "augmentation" not in options.allow:
        raise RecipeError(
            f"recipe {recipe.name!r}: training.augmentation changes the data, which is locked",
            "Allow it with --allow augmentation (allow=['augmentation']).",
        )
    return recipe


def _objective(options: RunOptions) -> DecisionObjective:
    return DecisionObjective(
        objective=None if options.decide_for is None else Objective.parse(options.decide_for),
        guarantee=None if options.guarantee is None else Guarantee.parse(options.guarantee),
    )


# -------------------------------------------------------------------------------------------------- data


@shows(ReadOptions)
def read_dataset(
    data: object,
    labels: object = None,
    *,
    like: Tagger | None = None,
    on_read: OnRead | None = None,
    **options: Unpack[ReadKeywords],
) -> Dataset:
    """Read data without splitting it, e.g. to evaluate on all of it.

    Feature rows are taken for what the backbone has made of images already.

    Args:
        data, labels, like, on_read: as in `load`.
        {options}

    Raises:
        OptionError, DataError: with every fault that was found.
    """
    chosen = _checked(ReadOptions, options)
    with _source(data, labels, like, on_read, chosen) as source:
        return source.read(chosen)


@shows(DataOptions)
def load(
    data: object,
    labels: object = None,
    *,
    like: Tagger | None = None,
    on_read: OnRead | None = None,
    **options: Unpack[DataKeywords],
) -> LockedData:
    """Read, split and lock data.

    Args:
        data: a folder with a label file in it or with keywords in its images, a label file, an arrays file,
            `postcards:COUNT` for the embedded set; or a feature array or frame, a frame of image paths and labels, a
            mapping of arrays as in an .npz, or a Hugging Face dataset.
        labels: (N, L) of 1, 0 and -1 or NaN for unknown, if `data` is an array or a frame of features.
        like: read images as this tagger takes them, instead of by `size` or `backbone`.
        on_read: called with (done, total) while images are read.
        {options}

    Raises:
        OptionError, DataError: with every fault that was found.
    """
    chosen = _checked(DataOptions, options)
    with _source(data, labels, like, on_read, chosen) as source:
        return source.load(chosen)


@contextmanager
def _source(
    data: object, labels: object, like: Tagger | None, on_read: OnRead | None, options: ReadOptions
) -> Iterator[DataLoad]:
    """What is read, on the cluster if one is named."""
    if like is not None and (options.size is not None or options.backbone is not None):
        raise OptionError("the tagger decides how images are read, so you cannot give a size or a backbone")
    from tagfit.cluster.loading import decoding
    from tagfit.report.progress import notebook_bar
    from tagfit.runs.loading import DataLoad

    with connected(options.on) as ray, notebook_bar("reading") as shown:
        yield DataLoad(data, labels, like, on_read or shown, None if ray is None else decoding(ray))


def _locked(data: object, device: str, *, calibrate: bool = False) -> LockedData:
    return data if isinstance(data, LockedData) else load(data, device=device, calibrate=calibrate)


def inspect(data: object, *, device: str = "auto") -> Inspection:
    """What there is to know about data before it is trained on.

    Args:
        data: what `load` returned, or anything that `load` takes without further options.
        device: where a backbone looks at the images.
    """
    from tagfit.data.inspection import look
    from tagfit.report.result import Inspection

    return Inspection(**vars(look(_locked(data, _checked(ModelOptions, {"device": device}).device))))


def estimate(data: object, *, device: str = "auto", plan: Plan | None = None) -> Estimate:
    """About how long `fit` and `cure` of such data take here, and how much memory."""
    from tagfit.runs.estimation import estimate
    from tagfit.search.plan import Plan

    device = _checked(ModelOptions, {"device": device}).device
    return estimate(_locked(data, device), device, plan or Plan())


# ----------------------------------------------------------------------------------------- fit and cure


@shows(TrainOptions)
def fit(
    data: object, *, progress: bool | None = None, on_event: Listener = _ignore, **options: Unpack[TrainKeywords]
) -> Result:
    """Train one recipe, and score it on every part.

    Args:
        data: what `load` returned, or anything that `load` takes without further options.
        progress: show a progress bar or, where nothing can show one, print a line every few seconds to stderr; if
            None, only in a notebook.
        on_event: called with what happens; when it returns True, training stops cleanly and delivers what it has.
        {options}

    Raises:
        OptionError, DataError, RecipeError, OutputError: before anything is trained.
        TrainingDivergedError: the loss became NaN or exploded.
        TagfitError: the cluster lost its workers too often.
    """
    from tagfit.cluster.training import rank_trainers
    from tagfit.runs.delivery import deliver
    from tagfit.runs.session import Session
    from tagfit.search.campaign import Outcome
    from tagfit.search.candidates import losses_for, pinned
    from tagfit.training.device import find_device

    chosen = _checked(TrainOptions, options)
    recipe, objective = recipe_of(chosen), _objective(chosen)
    data = _trainable(data, chosen, objective)
    recipe = pinned(recipe, data.dataset.preprocessing.backbone)
    if data.single_positive:
        recipe = recipe.with_loss(losses_for(data)[0])
    target = Target(train_ranks=not data.single_positive)
    command = {
        "command": "fit",
        "lock": data.lock,
        "recipe": recipe.to_dict(),
        "seed": chosen.seed,
        **({"allow": sorted(chosen.allow)} if chosen.allow else {}),  # a recipe with augmentation is refused without it
        **objective.to_dict(),
    }

    def work() -> Outcome:
        trained = session.run(replace(session.job(recipe), curve=True))
        return Outcome(None, session.appraise(trained), complete=trained.run.state == "finished")

    with _shown(progress, on_event) as listen, rank_trainers(chosen.on, chosen.device) as trainer:
        session = Session(data, target, chosen.seed, find_device(chosen.device), listen, objective, trainer)
        return _reported(deliver(session, command, [recipe], work, chosen.output))


def _reported(delivered: Delivered) -> Result:
    """With the page of the run, which is made of what lies in its folder."""
    from tagfit.report.files import read_context, report_is_missing, write_report
    from tagfit.report.result import Result

    if delivered.folder is not None and (delivered.fresh or report_is_missing(delivered.folder)):
        write_report(delivered.folder, read_context(delivered.folder))
    return Result(**vars(delivered))


def _trainable(data: object, options: RunOptions, objective: DecisionObjective) -> LockedData:
    """The data, if it has what the options need.

    Raises:
        DataError: it has not.
    """
    from tagfit.data.unknown import check_single_positive

    locked = _locked(data, options.device, calibrate=objective.guarantee is not None)
    if options.fine_tune and locked.dataset.preprocessing.backbone is None:
        raise DataError(
            "fine-tuning needs a pretrained backbone; none was given",
            "Name one with --backbone (load(..., backbone=...)).",
        )
    check_single_positive(locked)
    if objective.guarantee is not None:
        rows = locked.split.rows("calibrate")
        if not len(rows):
            raise DataError(
                "a guarantee needs a calibrate part, which nothing else uses; this split has none",
                "Load the data with calibrate=True, or with a split that names one: 60/15/10/15.",
            )
        groups = None if locked.split.groups is None else locked.split.groups[rows]
        objective.guarantee.check(locked.dataset.labels_NL[rows], groups)
    return locked


@shows(CureOptions)
def cure(
    data: object,
    *,
    target: Target | None = None,
    progress: bool | None = None,
    on_event: Listener = _ignore,
    **options: Unpack[CureKeywords],
) -> Result:
    """Train the baseline, then recipes that may overfit less; deliver the best on val, never below the baseline's.

    The data, the split and the preprocessing stay as they are: the lock is computed again for every run.

    Args:
        data: what `load` returned, or anything that `load` takes without further options.
        target: the bands to reach, instead of `metric`, `train_below` and `val_at_least`. Without it, the train band
            ranks candidates unless something is allowed or a backbone is used: a strong model may know its training
            set. Set `train_below` to have it rank there too.
        progress: as in `fit`.
        on_event: called with what happens; when it returns True, training stops cleanly and delivers what it has.
        {options}

    Raises:
        OptionError, DataError, RecipeError, OutputError, InputError: before anything is trained.
        TrainingDivergedError: the baseline's loss became NaN or exploded.
        LockChangedError: data, split or preprocessing changed meanwhile.
    """
    from tagfit.search.plan import Plan

    reader = OptionReader(MEANINGS)
    chosen = reader.read(CureOptions, options)
    reader.faults += _target_faults(target, options)
    reader.check()
    with _shown(progress, on_event) as listen:
        return cure_by(Plan(), data, chosen or CureOptions(), target=target, on_event=listen)


@contextmanager
def _shown(progress: bool | None, on_event: Listener) -> Iterator[Listener]:
    """A listener that shows progress as well, if that is asked for or, without a word on it, in a notebook."""
    from tagfit.report.progress import TrainingProgress, in_notebook

    if not (in_notebook() if progress is None else progress):
        yield on_event
        return
    from rich.console import Console

    with TrainingProgress(Console(stderr=True, force_jupyter=in_notebook(), highlight=False, markup=False)) as shown:

        def both(event: Event) -> bool | None:
            shown(event)
            return on_event(event)

        yield both


def _target_faults(target: object, options: CureKeywords) -> list[str]:
    if target is None:
        return []
    if not isinstance(target, Target):
        return [f"target must be a tagfit.Target; got {target!r}"]
    faults = [
        f"target and {name} were both given" for name in ("metric", "train_below", "val_at_least") if name in options
    ]
    if target.train_ranks and target.train_below == 0:
        faults.append("target.train_below must be above 0; got 0: no score is below it")
    return faults


def cure_by(
    plan: Plan, data: object, options: CureOptions, *, target: Target | None = None, on_event: Listener = _ignore
) -> Result:
    """`cure` by a plan of one's own; `options` are checked already."""
    from tagfit.cluster.trials import trainers
    from tagfit.runs.delivery import deliver
    from tagfit.runs.session import Session
    from tagfit.search.campaign import Campaign
    from tagfit.search.candidates import losses_for, without
    from tagfit.search.space import space
    from tagfit.training.device import find_device

    first, objective = recipe_of(options), _objective(options)
    data = _trainable(data, options, objective)
    target = target or _target(options, data)
    if data.single_positive:
        first, target = first.with_loss("assume-negative"), replace(target, train_ranks=False)
    start, candidates = _start(data, options), plan.recipes(data, target, options)
    candidates, budget = without(candidates, start), _budget(plan, data, options)
    augmentation = "augmentation" in options.allow
    searched = space(data.dataset.preprocessing, target, augmentation=augmentation, losses=losses_for(data))
    command = {
        "command": "cure",
        "lock": data.lock,
        "baseline": first.to_dict(),
        "target": asdict(target),
        "allow": sorted(options.allow),
        "trials": budget.trials,
        "until_met": budget.until_met,
        "minutes": options.minutes,
        "single": options.single,
        "refit": options.refit,
        "fine_tune": options.fine_tune,
        "seed": options.seed,
        **objective.to_dict(),
        **({} if data.earlier is None else {"from": data.earlier.lock}),
    }

    with trainers(options.on) as trainer:
        session = Session(data, target, options.seed, find_device(options.device), on_event, objective, trainer)
        campaign = Campaign(session, first, candidates, searched, budget, start)
        return _reported(deliver(session, command, [first, *start, *candidates], campaign.work, options.output))


def _start(data: LockedData, options: CureOptions) -> tuple[Recipe, ...]:
    """What a cure tries first: the recipe that the run delivered which it goes on from.

    Raises:
        RecipeError: it needs what the options do not allow.
    """
    if data.earlier is None:
        return ()
    from tagfit.runs.record import read_record

    recipe = read_record(data.earlier.folder).after.recipe
    if recipe.training.augmentation and "augmentation" not in options.allow:
        raise RecipeError(
            f"{data.earlier.folder} was trained with augmentation, which changes the data",
            "Allow it again with --allow augmentation (allow=['augmentation']).",
        )
    if isinstance(recipe.model, FineTunedModel) and not options.fine_tune:
        raise RecipeError(f"{data.earlier.folder} fine-tuned its backbone", "Do so again with --fine-tune.")
    return (recipe,)


def _budget(plan: Plan, data: LockedData, options: CureOptions) -> Budget:
    """What was asked for, or what is usual; then no more than it takes to meet the target, unless it fine-tunes."""
    from tagfit.search.campaign import Budget

    trials, asked = options.trials, options.trials is not None or options.minutes is not None
    if not asked and not options.fine_tune:
        trials = plan.usual_trials(data)
    return Budget(trials, options.minutes, not (asked or options.fine_tune), options.single, options.refit)


def _target(options: CureOptions, data: LockedData) -> Target:
    """With augmentation or a backbone the train band ranks only if it was asked for."""
    plain = not options.allow and data.dataset.pretrained is None
    below = Target.train_below if options.train_below is None else options.train_below
    return Target(options.metric, below, options.val_at_least, train_ranks=plain or options.train_below is not None)


# ------------------------------------------------------------------------------------ what a model is worth


@shows(EvaluateOptions)
def evaluate(
    tagger: Tagger | str | Path,
    data: object,
    *,
    compare: Tagger | str | Path | None = None,
    compare_data: object = None,
    **options: Unpack[EvaluateKeywords],
) -> Evaluation:
    """Score a tagger on labelled data, all rows of it or one part of the data's own split.

    Args:
        tagger: or the folder of its bundle or run.
        data: what `load` returned, or anything that it takes without further options.
        compare: another tagger, scored on the same samples; differences are paired.
        compare_data: the same samples as the other tagger takes them; `data`, unless given.
        {options}

    Raises:
        OptionError: an option cannot be used.
        BundleError: the bundle cannot be read.
        DataError: no labels in common, samples of another kind or shape, no rows in that part, no such column.
    """
    from tagfit.report.progress import notebook_bar
    from tagfit.report.result import Evaluation
    from tagfit.runs.evaluation import evaluation_of

    chosen = _checked(EvaluateOptions, options)
    model = _in_torch(tagger)
    other = None if compare is None else _in_torch(compare)
    there = None if other is None else (other, _samples(data if compare_data is None else compare_data, other))
    with notebook_bar("scoring, computing intervals"):
        return Evaluation(**vars(evaluation_of(model, _samples(data, model), chosen, there)))


def _in_torch(tagger: Tagger | str | Path) -> Tagger:
    """A tagger that gives the scores of training to the bit."""
    return tagger if isinstance(tagger, Tagger) else Tagger.load(tagger, runtime="torch")


def _samples(data: object, tagger: Tagger) -> Dataset | LockedData:
    return data if isinstance(data, Dataset | LockedData) else read_dataset(data, like=tagger)


@shows(DiagnoseOptions)
def diagnose(
    data: object,
    *,
    say: Callable[[str], None] = lambda text: None,
    on_event: Listener = _ignore,
    **options: Unpack[DiagnoseKeywords],
) -> Diagnosis:
    """Look for what is wrong with data or with a run: nothing is cured, and nothing is written.

    Args:
        data: the folder of a run; or what `load` returned, or anything that `load` takes without further options: a
            model is trained on it first.
        say: called with what is going to be trained, and about how long that takes.
        on_event: as in `fit`.
        {options}

    Raises:
        OptionError, DataError, RecipeError, BundleError: before anything is trained.
    """
    from tagfit.report.result import Diagnosis
    from tagfit.runs import checkup
    from tagfit.training.events import StageStarted

    chosen = _checked(DiagnoseOptions, options)
    with _shown(None, on_event) as listen:
        if checkup.is_run(data):
            examined = checkup.of_run(Path(data), chosen.seed, chosen.device)
        else:
            examined = checkup.of_data(_locked(data, chosen.device), chosen, listen)
        examined = examined.without(chosen.ignore)
        if chosen.quick:
            examined = examined.quick()
        for line in examined.announcement():
            say(line)
        listen(StageStarted("running the checks"))
        return Diagnosis(**vars(examined.diagnosis()))


@shows(SuggestOptions)
def suggest(
    data: object,
    photos: str | Path | Sequence[str | Path] = (),
    *,
    on_read: OnRead | None = None,
    **options: Unpack[SuggestKeywords],
) -> Suggestions:
    """Which samples to label next: those whose labels would teach most, spread over the data, and some at random.

    Args:
        data: the folder of a run, whose model and data are used; or anything that `load` takes without further options:
            a small network is trained on its labelled samples.
        photos: further images that nobody has labelled: files, folders, or patterns.
        on_read: called with (done, total) while images are read.
        {options}

    Raises:
        OptionError, DataError, BundleError: nothing can be suggested, or something cannot be read.
    """
    from tagfit.labels import suggest as labels

    chosen = _checked(SuggestOptions, options)
    dataset, tagger = _to_label(data, photos, chosen, on_read)
    return labels.suggest(dataset, tagger, chosen.count, chosen.seed)


def _to_label(
    data: object, photos: str | Path | Sequence[str | Path], chosen: SuggestOptions, on_read: OnRead | None
) -> tuple[Dataset, Tagger | None]:
    """Data, or a run's, together with images that nobody has labelled; and the run's model."""
    from tagfit.inference.paths import image_files
    from tagfit.runs.checkup import is_run
    from tagfit.runs.loading import DataLoad
    from tagfit.runs.record import read_record

    words = [photos] if isinstance(photos, str | Path) else list(photos)
    files = [Path(file) for file in image_files(words)] if words else []
    tagger: Tagger | None = None
    reading: ReadOptions = chosen
    if is_run(data):
        of_data = {one.name for one in fields(ReadOptions)} - {"device"}
        if settled := [name for name in chosen.changed() if name in of_data]:
            raise OptionError(f"{', '.join(settled)}: a run is read as it was trained", "Remove what was given.")
        source = read_record(Path(data)).data.source
        if source is None:
            raise DataError(f"{data} was trained on data from memory", "Name the data in place of the run.")
        tagger, data = Tagger.load(Path(data)), source.data
        reading = DataOptions(**source.options, device=chosen.device)
    return DataLoad(data, like=tagger, on_read=on_read).read_with(reading, files), tagger


def review(
    data: str | Path,
    photos: Sequence[str | Path],
    options: ReviewOptions,
    say: Callable[[str], None],
    on_read: OnRead | None = None,
) -> None:
    """Show labels on a page, and write down what a person decides about them, until SIGTERM or ctrl-C.

    Args:
        data, photos, on_read: as in `suggest`.
        say: called with what a person should know.

    Raises:
        MissingExtraError: what a server needs is not installed.
        OptionError, DataError, BundleError, OutputError: before the page is served.
    """
    demand_extra("reviewing labels", "serve")
    from tagfit.data.corrections import corrected, read_corrections
    from tagfit.labels.gain import ExpectedGain
    from tagfit.labels.review import Review
    from tagfit.labels.scoring import scored
    from tagfit.runs.checkup import is_run
    from tagfit.serve import server
    from tagfit.serve.review import create_review

    token = None if options.token_file is None else server.read_token(Path(options.token_file))
    with server.bind(options.host, options.port) as listener:
        access = server.access_to(listener, token, options.allow_host)
        dataset, tagger = _to_label(data, photos, options, on_read)
        if tagger is None:
            say(f"no run is named, so that small networks are trained on {dataset.name} first")
        folder = Path(data).resolve().parent if is_run(data) else Path()
        path = Path(options.output or options.corrections or folder / "corrections.jsonl")
        # models learn from what was decided before; the page shows what is decided on top of the source
        decided = corrected(dataset, read_corrections(path)) if path.exists() else dataset
        found = replace(scored(decided, tagger, options.seed), dataset=dataset)
        reviewed = Review(found, path, count=options.count, seed=options.seed)
        for note in reviewed.notes:
            say(note)
        say(f"your decisions are appended to {path}")
        app = create_review(reviewed, ExpectedGain(dataset, options.seed), access)
        server.run(server.listening(app, listener, server.SECONDS, f"{dataset.name}: review", say), listener)


# ---------------------------------------------------------------------------------------- a model at work


def predict(model: Tagger | str | Path, inputs: Inputs, *, device: str = "auto") -> Prediction:
    """Scores, probabilities and labels of images or feature rows.

    Args:
        model: a tagger, or the folder of a run or a bundle. Load a `Tagger` once to predict many times.
        inputs: as `Tagger.predict` takes them: one image file or a list of them, PIL images, or an array.
        device: auto, cpu, cuda or mps.

    Raises:
        BundleError: the folder cannot be read.
        DataError: not what this model takes.
    """
    from tagfit.report.progress import notebook_bar

    device = _checked(ModelOptions, {"device": device}).device
    with notebook_bar("predicting"):
        return (model if isinstance(model, Tagger) else Tagger.load(model, device)).predict(inputs)


def serve(bundle: str | Path, name: str, options: ServeOptions, say: Callable[[str], None]) -> None:
    """Answer over HTTP until SIGTERM or ctrl-C.

    Args:
        name: what the model is called, if its bundle has no name of its data.
        say: called with what a person should know.

    Raises:
        MissingExtraError: what a server needs is not installed.
        BundleError, DataError, OutputError: before it serves.
    """
    demand_extra("serving", "serve")
    from tagfit.serve import server
    from tagfit.serve.limits import Limits

    limits = Limits(
        options.max_megabytes << 20, options.max_pixels, options.max_images, options.max_seconds, options.queue
    )
    token = None if options.token_file is None else server.read_token(Path(options.token_file))
    with server.bind(options.host, options.port) as listener:
        access = server.access_to(listener, token, options.allow_host)
        tagger = Tagger.load(bundle, options.device)
        name = name if tagger.origin is None else tagger.origin.data
        made = server.make_server(name, tagger, listener, limits, access, say)
        server.serve(made, tagger, listener)
