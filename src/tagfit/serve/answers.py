"""What is answered, and how OpenAPI is told of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from tagfit.inference.tagger import Prediction
from tagfit.serve.bodies import JsonBody

#: digits of scores after the point
_DIGITS = 6


class PredictedSample(BaseModel):
    """One image or row; without labels and scores where it could not be read."""

    sample: str = Field(description="The file's name, or its number from 1.")
    labels: list[str] = Field(description="The labels that the model's rule gives.")
    scores: dict[str, float] | None = Field(description="The network's score of each label.")
    probabilities: dict[str, float] | None = Field(description="The same, calibrated.")
    error: str | None = Field(description="Why it could not be read.")


class PredictedSamples(BaseModel):
    """In the order of the request."""

    predictions: list[PredictedSample]


class LabelThreshold(BaseModel):
    """A label, and the value above which it is given."""

    name: str
    threshold: float


class ModelLabels(BaseModel):
    """What the model tells, and how it decides."""

    model: str = Field(description="The bundle's name.")
    takes: str = Field(description="images or features.")
    features: int | None = Field(description="Numbers of a feature row; null for a model that takes only images.")
    labels: list[LabelThreshold]
    decides_by: str = Field(description="What is compared with the thresholds: scores or probabilities.")
    rule: str = Field(description="How labels are given, in words.")
    at_least_one: bool
    at_most: int | None
    by_sets: bool = Field(description="Whether labels are given as sets seen in training, whatever the thresholds.")
    explains: bool = Field(description="Whether /v1/explain answers.")
    shown: float | None = Field(description="The part of an image's shorter side that the network sees; null for all.")
    limits: dict[str, float] = Field(description="Bytes, images, pixels and seconds of a request.")


class Problem(BaseModel):
    """RFC 9457."""

    title: str
    status: int
    detail: str
    faults: list[str] | None = None


class State(BaseModel):
    """ok, or why not."""

    state: str


def predicted(names: tuple[str, ...], prediction: Prediction, errors: dict[int, str]) -> list[dict[str, Any]]:
    """One record a sample; `prediction` is of those that have no error, in order."""
    found, row = [], 0
    for number, name in enumerate(names):
        error = errors.get(number)
        record: dict[str, Any] = {"sample": name, "labels": [], "scores": None, "probabilities": None, "error": error}
        if error is None:
            record["labels"] = list(prediction.labels(row))
            record["scores"] = _by_label(prediction.label_names, prediction.scores[row])
            record["probabilities"] = _by_label(prediction.label_names, prediction.probabilities[row])
            row += 1
        found.append(record)
    return found


def _by_label(label_names: tuple[str, ...], values: Any) -> dict[str, float]:
    return {name: round(value, _DIGITS) for name, value in zip(label_names, values.tolist(), strict=True)}


# ---------------------------------------------------------------------------------------------- OpenAPI

_WHY = {
    400: "The request cannot be read.",
    401: "A token is needed.",
    403: "Another page's request.",
    408: "The body came too slowly.",
    413: "Too large, or too many images.",
    415: "A type of body that is not taken.",
    421: "Another host's request.",
    422: "What came does not fit: images that cannot be read, features of another shape.",
    429: "Too much waits; Retry-After says for how long.",
    503: "It took too long, or the server is about to end.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a path, for OpenAPI."""
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {"application/problem+json": {"schema": schema}}
    return {status: {"description": _WHY[status], "content": content} for status in (400, 401, 403, 421, *statuses)}


def _file(description: str) -> dict[str, Any]:
    return {"schema": {"type": "string", "format": "binary", "description": description}}


def _object(name: str) -> dict[str, Any]:
    """JSON with this and nothing else."""
    field = JsonBody.model_json_schema()["properties"][name]
    given = next(one for one in field["anyOf"] if one["type"] != "null")
    return {
        "type": "object",
        "properties": {name: {"description": field["description"], **given}},
        "required": [name],
        "additionalProperties": False,
    }


#: the body of a request for predictions, for OpenAPI
PREDICT_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    "images": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
                },
                "required": ["images"],
                "additionalProperties": False,
            }
        },
        "application/json": {"schema": {"oneOf": [_object("images"), _object("features")]}},
        "image/*": _file("One image."),
        "application/octet-stream": _file("One image."),
    },
}

IMAGE_BODY = {
    "required": True,
    "content": {name: _file("One image.") for name in ("image/*", "application/octet-stream")},
}
