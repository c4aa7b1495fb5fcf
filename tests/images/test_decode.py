import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from making import decode
from tagfit.images import decode as decode_module
from tagfit.images.decode import UnreadableImageError, shrink
from tagfit.records.form import ImageForm


def encoded(image, format="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, format=format, **options)
    return stream.getvalue()


def two_halves(mode="RGB", size=(40, 30)):
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, size[0] // 2, size[1]))
    return image.convert(mode)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_the_formats_that_are_read(format):
    pixels = decode(encoded(two_halves(), format), ImageForm(16))
    assert (pixels.shape, pixels.dtype) == ((16, 16, 3), np.uint8)
    np.testing.assert_allclose(pixels[8, 3], [255, 0, 0], atol=12)
    np.testing.assert_allclose(pixels[8, 12], [0, 0, 255], atol=12)


@pytest.mark.parametrize("format", ["PPM", "ICO", "TGA"])
def test_no_other_format_is_opened(format):
    with pytest.raises(UnreadableImageError, match="not an image of a known format"):
        decode(encoded(two_halves(), format), ImageForm(16))


def test_exif_orientation_is_applied():
    image = two_halves()
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down: what was left comes to the right
    pixels = decode(encoded(image, "JPEG", exif=exif), ImageForm(16))
    np.testing.assert_allclose(pixels[8, 12], [255, 0, 0], atol=12)


def test_alpha_lies_over_white():
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert (decode(encoded(clear), ImageForm(8)) == 255).all()
    palette = Image.new("P", (20, 20), 0)
    assert (decode(encoded(palette, transparency=0), ImageForm(8)) == 255).all()


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "I;16", "CMYK"])
def test_every_mode_becomes_rgb(mode):
    if mode == "I;16":
        grey = Image.fromarray(np.full((20, 20), 40000, dtype=np.uint16))
        expected = 40000 * 255 / 65535
    else:
        grey = Image.new("L", (20, 20), 255).convert("RGB" if mode == "CMYK" else "L").convert(mode)
        expected = 255
    pixels = decode(encoded(grey, "TIFF"), ImageForm(8))
    assert pixels.shape == (8, 8, 3)
    np.testing.assert_allclose(pixels, expected, atol=3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"not an image at all", "not an image of a known format"),
        (encoded(two_halves(size=(200, 200)), "JPEG")[:-300], "truncated"),
        (encoded(two_halves(size=(200, 200)))[:-200], "truncated"),
    ],
)
def test_what_cannot_be_read_says_why(content, reason):
    with pytest.raises(UnreadableImageError, match=reason):
        decode(content, ImageForm(16))


def test_an_image_that_claims_too_many_pixels_is_refused():
    with pytest.raises(UnreadableImageError, match=r"too large: 40x30 pixels are more than 0.001 megapixels"):
        decode(encoded(two_halves()), ImageForm(16), max_pixels=1000)
    assert decode(encoded(two_halves()), ImageForm(16), max_pixels=1200).shape == (16, 16, 3)


def taken(written):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = written
    return shrink(encoded(two_halves(), "JPEG", exif=exif), ImageForm(8))[1]


def test_when_it_was_taken():
    assert taken("2024:05:01 12:30:09") == "2024-05-01T12:30:09"
    assert shrink(encoded(two_halves(), "JPEG"), ImageForm(8))[1] == ""


@pytest.mark.parametrize("written", ["0000:00:00 00:00:00", "    :  :     :  :  ", "last summer", ""])
def test_a_time_that_is_none(written):
    assert taken(written) == ""


@pytest.mark.parametrize(("grey", "expected"), [(0, 0), (255, 0), (256, 0), (257, 1), (65535, 255)])
def test_sixteen_bits_are_scaled_alike_whatever_the_image_holds(grey, expected):
    image = Image.fromarray(np.full((8, 8), grey, dtype=np.uint16))
    assert (decode(encoded(image), ImageForm(8)) == expected).all()


def test_floating_point_pixels_are_refused():
    with pytest.raises(UnreadableImageError, match="floating-point"):
        decode(encoded(Image.new("F", (8, 8), 0.7), "TIFF"), ImageForm(8))


def test_the_original_size_leaves_no_trace():
    plain = [
        decode(encoded(Image.new("RGB", size, (10, 200, 30))), ImageForm(16))
        for size in ((16, 16), (300, 40), (5, 900))
    ]
    assert (plain[0] == plain[1]).all()
    assert (plain[0] == plain[2]).all()


def test_large_colour_profiles_are_applied_and_not_kept():
    """64 of 16 MB each were kept by each process that decodes."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    decode_module._kept_transform.cache_clear()
    for number in range(3):
        large = profile + bytes([number]) * (2 << 20)
        decode(encoded(two_halves(), "TIFF", icc_profile=large), ImageForm(16))
    assert decode_module._kept_transform.cache_info().currsize == 0
    decode(encoded(two_halves(), "PNG", icc_profile=profile), ImageForm(16))
    assert decode_module._kept_transform.cache_info().currsize == 1
