"""What images a backbone of transformers takes: its preprocessor_config.json, read as data.

What transformers' own image processor makes of an image is an affine function of its resized pixels, so that all of it
is a Form and, on pixels in [0, 1], a mean and a deviation of each colour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from tagfit.records.form import FILTERS, ImageForm


@dataclass(frozen=True)
class _Settings:
    """The fields of a preprocessor_config.json that are read, with the values that they usually have."""

    size: object = None
    resample: object = None
    image_mean: object = None
    image_std: object = None
    do_resize: bool = True
    do_center_crop: bool = False
    crop_size: object = None
    crop_pct: float = 1.0
    do_rescale: bool = True
    rescale_factor: float = 1 / 255
    rescale_offset: bool = False
    do_normalize: bool = True
    include_top: bool = False


_CROPPED = _Settings(do_center_crop=True, crop_size=224)
_CROPPED_FROM_SHORTER = replace(_CROPPED, size={"shortest_edge": 224})
#: image processors that are known, by name without `ImageProcessor`: what they do unless their file says otherwise
_KNOWN = {
    "Beit": _Settings(crop_size=224),
    "Bit": _CROPPED_FROM_SHORTER,
    "CLIP": _CROPPED_FROM_SHORTER,
    "ConvNext": _Settings(crop_pct=224 / 256),
    "DINOv3ViT": _Settings(),
    "DeiT": _CROPPED,
    "EfficientNet": _Settings(include_top=True),
    "Levit": _CROPPED,
    "MobileNetV1": _CROPPED,
    "MobileNetV2": _CROPPED,
    "Pvt": _Settings(),
    "Siglip": _Settings(),
    "ViT": _Settings(),
}

#: those whose `size`, where it is one number, is the shorter side
_SHORTEST = ("Bit", "CLIP", "ConvNext", "Levit", "MobileNetV1", "MobileNetV2")

#: what changes images in other ways, unless it is off
_OTHERWISE = ("do_flip_channel_order", "do_pad", "do_thumbnail", "do_crop_margin", "do_convert_grayscale")


#: a value of red, of green and of blue
Colours = tuple[float, float, float]


class Taken(NamedTuple):
    """How an image becomes pixels, and what is subtracted from each colour of them and divided by, in [0, 1]."""

    form: ImageForm
    mean: Colours
    std: Colours


def read_form(written: Mapping[str, Any]) -> Taken:
    """What a preprocessor_config.json says.

    Raises:
        ValueError: something in it that is not known; the message says what.
    """
    kind = str(written.get("image_processor_type", written.get("feature_extractor_type", "")))
    for ending in ("Pil", "Fast", "ImageProcessor", "FeatureExtractor"):
        kind = kind.removesuffix(ending)
    if kind not in _KNOWN:
        raise ValueError(f"image_processor_type {kind!r} is none of those known: {', '.join(_KNOWN)}")
    for name in _OTHERWISE:
        if written.get(name):
            raise ValueError(f"{name} is not known here")
    names = [field.name for field in fields(_Settings)]
    settings = replace(_KNOWN[kind], **{name: written[name] for name in names if written.get(name) is not None})
    needed = ("size", "resample", "image_mean", "image_std") if settings.do_normalize else ("size", "resample")
    missing = [name for name in needed if getattr(settings, name) is None]
    if missing:
        raise ValueError(f"it does not say {', '.join(missing)}")
    return Taken(_form(kind, settings), *_colours(settings))


def _form(kind: str, settings: _Settings) -> ImageForm:
    if not settings.do_resize:
        raise ValueError("do_resize is false, so that images would keep their sizes")
    if not (isinstance(settings.resample, int) and 0 <= settings.resample < len(FILTERS)):
        raise ValueError(f"resample must be a number from 0 to {len(FILTERS) - 1}; got {settings.resample!r}")
    resampling = FILTERS[settings.resample]
    side, shorter = _size(settings.size, kind in _SHORTEST)
    if kind == "ConvNext":
        if side >= 384:
            return ImageForm(side, resampling)
        return ImageForm(side, resampling, int(side / settings.crop_pct), True)
    if kind == "Levit":
        side = int(256 / 224 * side) if shorter else side
    if settings.do_center_crop:
        cut, _ = _size(settings.crop_size, False)
        return ImageForm(cut, resampling) if cut == side and not shorter else ImageForm(cut, resampling, side, shorter)
    if shorter:
        raise ValueError("size is the shorter side and nothing is cropped, so that images would not be square")
    return ImageForm(side, resampling)


def _size(size: object, shortest: bool) -> tuple[int, bool]:
    """A side, and whether it is the shorter one of two rather than both."""
    if isinstance(size, int):
        return size, shortest
    if isinstance(size, Mapping) and set(size) == {"shortest_edge"}:
        return int(size["shortest_edge"]), True
    if isinstance(size, Mapping) and set(size) == {"height", "width"} and size["height"] == size["width"]:
        return int(size["height"]), False
    raise ValueError(f"a size must be one number, a shortest_edge, or equal height and width; got {size!r}")


def _colours(settings: _Settings) -> tuple[Colours, Colours]:
    """(p * factor - offset - mean) / std of pixels p from 0 to 255, as a mean and a deviation of p / 255."""
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if settings.do_normalize:
        mean, std = _three(settings.image_mean), _three(settings.image_std)
    spread = _three(value * value for value in std) if settings.include_top else std
    factor = 255 * float(settings.rescale_factor) if settings.do_rescale else 255.0
    offset = 1.0 if settings.do_rescale and settings.rescale_offset else 0.0
    if not factor > 0 or not min(spread) > 0:
        raise ValueError("rescale_factor and image_std must be above 0")
    return _three((value + offset) / factor for value in mean), _three(value / factor for value in spread)


def _three(values: Any) -> Colours:
    several = (values,) * 3 if isinstance(values, int | float) else tuple(values)
    if len(several) != 3:
        raise ValueError(f"three colours have three values; got {several}")
    red, green, blue = map(float, several)
    return red, green, blue
