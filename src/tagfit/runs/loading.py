"""From what a person names to a data set, split and locked.

Shapes: N samples, L labels.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagfit.data.corrections import corrected, read_corrections, with_newly_labelled, with_unlabelled
from tagfit.data.dataset import DEFAULT_SIZE, align_features, build
from tagfit.data.groups import AUTO, GIVEN
from tagfit.data.kept_split import keep_split
from tagfit.data.lock import lock, locked_samples
from tagfit.data.sources.memory import from_arrays, from_memory
from tagfit.data.sources.postcards import POSTCARDS, read_postcards
from tagfit.data.sources.read import read
from tagfit.data.sources.reading import OPTIONS
from tagfit.data.split import parse_shares
from tagfit.data.split import split as deal
from tagfit.errors import DataError, InputError
from tagfit.images.known_features import KnownFeatures
from tagfit.images.signatures import known_again, signatures
from tagfit.images.store import OnRead
from tagfit.images.workers import Decode
from tagfit.inference.tagger import Tagger
from tagfit.options.data import DataOptions, DataSource, ReadOptions
from tagfit.records.data import PARTS, Dataset, EarlierRun, LabelTable, LockedData, Preprocessing
from tagfit.runs.earlier import earlier_run
from tagfit.runs.record import RunRecord, read_record


@dataclass(frozen=True)
class DataLoad:
    """What is read, and how.

    Attributes:
        data, labels: as `tagfit.load` takes them.
        like: images come as this tagger takes them.
        on_read: called with (done, total) while images are read.
        decode: decodes images; here, unless given.
    """

    data: object
    labels: object = None
    like: Tagger | None = None
    on_read: OnRead | None = None
    decode: Decode | None = None

    def read(self, options: ReadOptions) -> Dataset:
        """Read data without splitting it. Feature rows are taken for what a backbone has made of images already.

        Raises:
            DataError: with every fault that was found.
        """
        return self._read(self._table(options), options)

    def read_with(self, options: ReadOptions, files: Sequence[Path] = ()) -> Dataset:
        """Read data together with images that nobody has labelled: those that the source names, and `files`.

        All their labels are unknown.
        """
        table = self._table(options)
        known = {os.path.realpath(file) for file in table.files or ()}
        further = [file for file in (*table.unlabelled, *files) if os.path.realpath(file) not in known]
        return self._read(with_unlabelled(table, {file: str(file) for file in further}), options)

    def _read(self, table: LabelTable, options: ReadOptions) -> Dataset:
        if options.corrections is None:
            return self._dataset(table, options)
        corrections = read_corrections(Path(options.corrections))
        return corrected(self._dataset(with_newly_labelled(table, corrections), options), corrections)

    def _dataset(self, table: LabelTable, options: ReadOptions) -> Dataset:
        if options.backbone is None and (self.like is None or self.like.preprocessing.backbone is None):
            size = options.size or DEFAULT_SIZE if self.like is None else self.like.form.size
            dataset = self._built(table, options, size)
            if self.like is None and options.size is not None and dataset.kind == "images":
                _demand_size(dataset, options.size)
            return dataset if self.like is None else align_features(dataset, self.like.preprocessing.feature_names)
        if table.kind == "features":
            return self._built(table, options, DEFAULT_SIZE)
        return self._features(table, options)

    def load(self, options: DataOptions) -> LockedData:
        """Read, split and lock data.

        Raises:
            DataError: with every fault that was found.
        """
        if options.from_run is not None:
            return self._load_on(Path(options.from_run), options)
        dataset = self.read(options)
        if options.backbone is not None and dataset.pixels is None:
            raise DataError(
                f"a backbone needs images, and {dataset.name} has feature rows", "Load them without a backbone."
            )
        split = deal(
            dataset,
            shares=_shares(options),
            seed=options.split_seed,
            groups=_groups(options),
            calibrate=options.calibrate,
            folds=options.folds,
        )
        return replace(lock(dataset, split), source=self._source(options))

    def _load_on(self, run: Path, options: DataOptions) -> LockedData:
        """The data with the split of an earlier run; images are read as that run took them."""
        record = read_record(run)
        tagger = Tagger.load(run, runtime="torch")  # which is compared in the end: better to miss it now
        earlier = earlier_run(run, record) or _of_its_data(run, record, options.device)
        form, source = record.data.preprocessing, record.data.source
        if form.takes_images and options.size is None and options.backbone is None:
            backbone = None if source is None else source.backbone
            options = replace(
                options, backbone=backbone, size=None if form.backbone or form.form is None else form.shape[0]
            )
        dataset = self.read(options)
        missing = [name for name in earlier.samples.label_names if name not in dataset.label_names]
        faults = [f"{run} knows the label {name!r}, which this data lacks" for name in missing]
        if dataset.preprocessing.identity() != form.identity():
            faults.append(f"{run} was trained on {_described(form)}; this data is {_described(dataset.preprocessing)}")
        if faults:
            raise DataError(faults, "Go on with data of the same form and labels, or train without --from.")
        groups = _groups(options) or record.data.grouped_by or AUTO
        split = keep_split(
            dataset,
            earlier.samples,
            shares=_shares(options),
            seed=options.split_seed,
            groups=AUTO if groups == GIVEN else groups,
            again=partial(_known_again, dataset, tagger),
        )
        if options.calibrate and not split.counts["calibrate"]:
            raise DataError(
                f"{run} has no calibrate part, which a guarantee needs", "Remove --guarantee, or train without --from."
            )
        if groups == GIVEN:
            note = "The earlier run was grouped by values that it did not keep: only near-copies are kept together now."
            split = replace(split, notes=(*split.notes, note))
        return replace(lock(dataset, split), source=self._source(options), earlier=earlier)

    def _source(self, options: DataOptions) -> DataSource | None:
        """What reads the data again; None where it came from memory."""
        if isinstance(self.data, str | Path) and self.like is None and not isinstance(_groups(options), tuple):
            return DataSource.of(self.data, options)
        return None

    def _built(self, table: LabelTable, options: ReadOptions, size: int) -> Dataset:
        return build(
            table,
            size=size,
            max_pixels=options.max_pixels,
            strict=options.strict,
            on_read=self.on_read,
            decode=self.decode,
        )

    def _features(self, table: LabelTable, options: ReadOptions) -> Dataset:
        """The features that a backbone makes of images, beside the images in its form."""
        from tagfit.models.backbones import load_backbone
        from tagfit.training.device import find_device
        from tagfit.training.features import Extractor

        pretrained = None if self.like is None else self.like.bundle.pretrained
        if pretrained is None:
            pretrained = load_backbone(options.backbone or "")
        backbone = pretrained.backbone
        extractor = Extractor(pretrained, find_device(options.device))
        with (
            closing(KnownFeatures(pretrained.fingerprint, backbone.features)) as known,
            extractor.looking(known) as looking,
        ):
            dataset = build(
                table,
                size=backbone.form,
                max_pixels=options.max_pixels,
                strict=options.strict,
                on_read=self.on_read,
                on_pixels=looking.at,
                decode=self.decode,
            )
            digests = [row.tobytes() for row in dataset.hashes]
            features = looking.features(dataset.x, digests, self.on_read or (lambda done, total: None))
        pixel_range = dataset.preprocessing.pixel_range
        preprocessing = Preprocessing("features", (backbone.features,), backbone=backbone, pixel_range=pixel_range)
        return replace(dataset, x=features, pixels=dataset.x, preprocessing=preprocessing, pretrained=pretrained)

    def _table(self, options: ReadOptions) -> LabelTable:
        """The labels; what says nothing about data of its kind is refused."""
        data, images = self.data, options.images
        how = {name: value for name, value in options.changed().items() if name in OPTIONS}
        if self.labels is not None:
            _refuse(options, OPTIONS - {"label_names", "minus_one"}, "arrays")
            return from_arrays(data, self.labels, label_names=options.label_names, minus_one=options.minus_one)
        if not isinstance(data, str | Path):
            return from_memory(data, images=images, **how)
        if str(data).startswith(POSTCARDS):
            _refuse(options, OPTIONS, "the embedded set")
            return read_postcards(str(data), self.on_read)
        return read(Path(data), images=images, **how)


def load_again(source: DataSource, device: str) -> LockedData:
    """Data that a run recorded the source of.

    Raises:
        DataError: it cannot be read any more.
    """
    return DataLoad(source.data).load(DataOptions(**source.options, device=device))


def _demand_size(dataset: Dataset, size: int) -> None:
    """Images that come as an array keep their size, so that another one is not silently ignored."""
    height, width, _ = dataset.preprocessing.shape
    if (height, width) != (size, size):
        raise DataError(
            f"a size of {size} was given, but the images of {dataset.name} come as an array of {width} x {height}",
            "Remove --size, or resize the array.",
        )


def _known_again(dataset: Dataset, tagger: Tagger, rows: NDArray[np.intp]) -> NDArray[np.int8]:
    """(n,) the part in which the run knew an image though its file has changed since; -1 of all others."""
    codes, known = np.full(len(rows), -1, dtype=np.int8), tagger.bundle.signatures
    if dataset.images is not None and known:
        here = signatures(dataset.images[rows])
        for part in reversed(PARTS):  # train comes last, and counts
            codes[known_again(here, known[part])] = PARTS.index(part)
    return codes


def _of_its_data(run: Path, record: RunRecord, device: str) -> EarlierRun:
    """The samples of a run whose folder an earlier version wrote without a list of them."""
    lost = f"{run} was made by an earlier version, which kept no list of its samples"
    if record.data.source is None:
        raise DataError(f"{lost}, and its data came from memory", "Train without --from.")
    try:
        data = load_again(record.data.source, device)
    except InputError as error:
        raise DataError([f"{lost}, and its data cannot be read: {fault}" for fault in error.faults]) from error
    if data.lock != record.lock:
        raise DataError(f"{lost}, and its data has changed since", "Train without --from.")
    return EarlierRun(run, data.lock, locked_samples(data.dataset, data.split))


def _shares(options: DataOptions) -> Mapping[str, float] | None:
    return parse_shares(options.split) if isinstance(options.split, str) else options.split


def _groups(options: DataOptions) -> str | tuple[str, ...] | None:
    by = options.groups
    return by if by is None or isinstance(by, str) else tuple(map(str, by))


def _described(form: Preprocessing) -> str:
    if form.backbone is not None:
        return f"features of {form.backbone}"
    return f"{form.kind} of {'x'.join(map(str, form.shape))}"


def _refuse(options: ReadOptions, meaningless: Set[str], what: str) -> None:
    """An option is never silently ignored."""
    given = [name for name in options.changed() if name in {*meaningless, "images"}]
    faults = [f"{name} was given, but says nothing about {what}" for name in given]
    if faults:
        raise DataError(faults, "Remove it.")
