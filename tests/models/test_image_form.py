"""What is read of a preprocessor_config.json is what transformers' own image processors do."""

import numpy as np
import pytest
from PIL import Image

from making import PREPROCESSOR, scenes
from tagfit.images.decode import pixels
from tagfit.models.image_form import read_form
from tagfit.records.form import ImageForm

COLOURS = {name: PREPROCESSOR[name] for name in ("image_mean", "image_std")}
#: (processor of transformers, what its file says)
WRITTEN = {
    "all of it": ("ViT", {"size": {"height": 24, "width": 24}, "resample": 3}),
    "one number": ("ViT", {"size": 24, "resample": 2}),
    "the middle": (
        "CLIP",
        {
            "size": {"shortest_edge": 32},
            "do_center_crop": True,
            "crop_size": {"height": 24, "width": 24},
            "resample": 3,
        },
    ),
    "the middle, as usual": ("CLIP", {"size": 30, "crop_size": 24, "resample": 3}),
    "the middle of a square": ("DeiT", {"size": 32, "crop_size": 24, "resample": 3, "do_center_crop": True}),
    "a share": ("ConvNext", {"size": {"shortest_edge": 24}, "crop_pct": 0.8, "resample": 3}),
    "large": ("ConvNext", {"size": {"shortest_edge": 384}, "resample": 3}),
    "Levit's": ("Levit", {"size": {"shortest_edge": 28}, "crop_size": 28, "resample": 3}),
    "from -1 to 1": (
        "EfficientNet",
        {"size": 24, "resample": 0, "rescale_factor": 1 / 127.5, "rescale_offset": True, "include_top": False},
    ),
    "twice": ("EfficientNet", {"size": 24, "resample": 2, "include_top": True}),
    "not normalised": ("Siglip", {"size": {"height": 24, "width": 24}, "resample": 3, "do_normalize": False}),
    "not rescaled": ("Pvt", {"size": {"height": 24, "width": 24}, "resample": 2, "do_rescale": False}),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_images_are_those_of_transformers(case):
    import transformers

    kind, written = WRITTEN[case]
    written = {**COLOURS, **written}
    processor = getattr(transformers, f"{kind}ImageProcessorPil")(**written)
    form, mean, std = read_form({"image_processor_type": f"{kind}ImageProcessor", **written})
    for width, height in ((64, 64), (64, 44), (37, 64)):
        image = Image.fromarray(scenes(1)[0, :height, :width])
        theirs = processor(image, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
        ours = (pixels(image, form) / 255 - mean) / std
        assert theirs.shape == ours.shape
        # the middle is cut out before rather than after, so that single pixels are rounded otherwise
        levels = np.abs(theirs - ours) * std * 255
        assert np.quantile(levels, 0.99) < 2.5
        assert levels.max() < 25


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"image_processor_type": "MobileViTImageProcessor"}, "none of those known"),
        ({"image_processor_type": None}, "none of those known"),
        ({"do_resize": False}, "keep their sizes"),
        ({"do_pad": True}, "do_pad is not known"),
        ({"size": {"height": 32, "width": 48}}, "equal height and width"),
        ({"size": {"longest_edge": 32}}, "equal height and width"),
        ({"size": {"shortest_edge": 32}}, "would not be square"),
        ({"resample": 9}, "resample must be"),
        ({"image_std": [0, 1, 1]}, "above 0"),
        ({"image_mean": [0.5]}, "three colours"),
        ({"image_mean": None}, "does not say image_mean"),
        ({"do_center_crop": True, "crop_size": 64}, "cannot be cut out"),
        ({"size": {"height": 10**9, "width": 10**9}}, "from 1 to 4096"),
    ],
)
def test_what_is_not_known_is_refused(changes, expected):
    with pytest.raises(ValueError, match=expected):
        read_form({**PREPROCESSOR, **changes})


def test_a_plain_form_is_known_by_its_size():
    assert ImageForm(64).key == "64"
    keys = {
        form.key
        for form in (
            ImageForm(64),
            ImageForm(64, "bilinear"),
            ImageForm(64, shrunk_to=72),
            ImageForm(64, "bicubic", 72, True),
        )
    }
    assert len(keys) == 4


def test_an_image_of_any_length_takes_no_more_room():
    thin = Image.new("RGB", (100_000, 1), (10, 200, 30))
    assert (pixels(thin, ImageForm(24, "bicubic", 32, True)) == (10, 200, 30)).all()
