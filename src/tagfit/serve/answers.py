"""What is answered, and how OpenAPI describes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

from fastapi import Response
from pydantic import BaseModel, Field

from tagfit.inference.tagger import Prediction
from tagfit.serve.bodies import JsonBody

#: digits of scores after the point
_DIGITS = 6


class PredictedSample(BaseModel):
    """The prediction for one image or row."""

    sample: str = Field(description="The file's name, or its number from 1.")
    labels: list[str] = Field(description="The labels that the model's rule gives.")
    scores: dict[str, float] | None = Field(description="The network's score of each label.")
    probabilities: dict[str, float] | None = Field(description="The scores, calibrated.")
    error: str | None = Field(
        description="Why there are no scores: the sample could not be read, or they are not finite."
    )


class PredictedSamples(BaseModel):
    """Predictions, in the order of the request."""

    predictions: list[PredictedSample]


class LabelThreshold(BaseModel):
    """A label, the threshold above which it is given, and how well it was given to samples that trained nothing."""

    name: str
    threshold: float
    f1: float | None = Field(description="Its F1; null if it is not known.")


class ModelOrigin(BaseModel):
    """What people know a model by."""

    data: str = Field(description="The name of the data it was trained on.")
    made: str = Field(description="The day it was trained, in UTC.")
    metric: str | None = Field(description="What score is.")
    part: str | None = Field(description="What score and F1 are of: test, or val if there was no test part.")
    score: float | None
    interval: tuple[float, float] | None = Field(description="Where the score lies with 95% confidence.")


class ModelLabels(BaseModel):
    """The labels of the model, and how it decides."""

    model: str = Field(description="What the model is called.")
    origin: ModelOrigin | None = Field(description="Its data, its day and its score; null for older bundles.")
    takes: str = Field(description="images or features.")
    features: int | None = Field(description="How many numbers a feature row has; null if the model takes only images.")
    labels: list[LabelThreshold]
    decides_by: str = Field(description="What the thresholds apply to: scores or probabilities.")
    rule: str = Field(description="How labels are given, in words.")
    at_least_one: bool
    at_most: int | None
    by_sets: bool = Field(description="Whether labels are given as sets seen in training, without thresholds.")
    explains: bool = Field(description="Whether /v1/explain answers.")
    shown: float | None = Field(
        description="The fraction of an image's shorter side that the network sees; null if all of it."
    )
    limits: dict[str, int | float] = Field(description="The most bytes, images, pixels and seconds of a request.")


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    title: str
    status: int
    detail: str
    faults: list[str] | None = None


class State(BaseModel):
    """ok, or the reason."""

    state: str


def predicted(names: Sequence[str], prediction: Prediction, unread: Mapping[int, str]) -> PredictedSamples:
    """One record a sample.

    Args:
        prediction: of those that were read, in order; some may have an error of their own.
        unread: by its position, why a sample could not be read.
    """
    rows = count()
    return PredictedSamples(
        predictions=[
            _without(name, unread[number]) if number in unread else _record(name, prediction, next(rows))
            for number, name in enumerate(names)
        ]
    )


def _record(name: str, prediction: Prediction, row: int) -> PredictedSample:
    if (error := prediction.errors.get(row)) is not None:
        return _without(name, error)
    scores, probabilities = (
        {label: round(value, _DIGITS) for label, value in zip(prediction.label_names, values_L, strict=True)}
        for values_L in (prediction.scores[row].tolist(), prediction.probabilities[row].tolist())
    )
    labels = list(prediction.labels(row))
    return PredictedSample(sample=name, labels=labels, scores=scores, probabilities=probabilities, error=None)


def _without(name: str, error: str) -> PredictedSample:
    return PredictedSample(sample=name, labels=[], scores=None, probabilities=None, error=error)


def answer(record: BaseModel, status: int = 200) -> Response:
    """A record as JSON."""
    return Response(record.model_dump_json(), status, media_type="application/json")


# ---------------------------------------------------------------------------------------------- OpenAPI

_WHY = {
    400: "The request cannot be read.",
    401: "A token is needed.",
    403: "The request comes from another website.",
    408: "The body came too slowly.",
    413: "Too large, or too many images.",
    415: "This type of body is not accepted.",
    421: "This host name is not allowed.",
    422: "The content does not fit the model: images that cannot be read, features of another shape.",
    429: "Too many requests are waiting. Retry-After holds the seconds to wait.",
    503: "The request took too long, or the server is stopping.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, object]]:
    """Refusals, for OpenAPI."""
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {"application/problem+json": {"schema": schema}}
    return {status: {"description": _WHY[status], "content": content} for status in statuses}


def _object(name: str, field: object) -> dict[str, object]:
    """JSON with this and nothing else."""
    properties = {name: field}
    return {"type": "object", "properties": properties, "required": [name], "additionalProperties": False}


def _given(name: str) -> dict[str, object]:
    """A field of a JSON body that has to be there."""
    field = JsonBody.model_json_schema()["properties"][name]
    return _object(name, {"description": field["description"], **field["anyOf"][0]})  # the other may be null


_IMAGE = {"schema": {"type": "string", "format": "binary", "description": "One image."}}
_FILES = {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
_FORM = {
    "type": "object",
    "properties": {"images": {**_FILES, "description": "image files; any other name of the field will do"}},
    "additionalProperties": _FILES,
    "minProperties": 1,
}

#: the body of a request to explain, and of one for predictions
IMAGE_BODY = {"required": True, "content": {"image/*": _IMAGE, "application/octet-stream": _IMAGE}}
PREDICT_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": _FORM},
        "application/json": {"schema": {"oneOf": [_given("images"), _given("features")]}},
        "image/*": _IMAGE,
        "application/octet-stream": _IMAGE,
    },
}
