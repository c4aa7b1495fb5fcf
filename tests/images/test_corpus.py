"""What happens to each kind of bad or odd file, decoded as training data is, by another process."""

import io
import re
import struct
import sys
import zlib
from signal import Signals

import numpy as np
import pytest
from PIL import Image, ImageCms

from making import decode
from tagfit.images import workers as decoder
from tagfit.images.decode import UnreadableImageError
from tagfit.images.store import open_images
from tagfit.records.form import ImageForm

SIZE, FORM = 16, ImageForm(16)
RED, BLUE, GREEN, WHITE, BLACK = (255, 0, 0), (0, 0, 255), (0, 255, 0), (255, 255, 255), (0, 0, 0)


def encoded(image, format="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, format=format, **options)
    return stream.getvalue()


def plain(colour=RED, mode="RGB", size=(40, 30)):
    return Image.new("RGB", size, colour).convert(mode)


def halves(first=RED, second=BLUE, size=(40, 30)):
    """`first` on the left, `second` on the right."""
    image = Image.new("RGB", size, second)
    image.paste(first, (0, 0, size[0] // 2, size[1]))
    return image


def palette(colours, **options):
    """Columns of the given colours, as numbers into a palette."""
    image = Image.new("P", (8 * len(colours), 20))
    image.putpalette([value for colour in colours for value in colour])
    for number in range(len(colours)):
        image.paste(number, (8 * number, 0, 8 * number + 8, 20))
    return encoded(image, "PNG", **options)


def png(width, height, depth, colour_type, rows):
    """A PNG file by hand, for what Pillow does not write."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def oriented(format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(halves(), format, exif=exif)


def swapping_profile():
    """An RGB profile in which red is green: sRGB with two of its primaries exchanged."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().replace(b"rXYZ", b"----").replace(
        b"gXYZ", b"rXYZ"
    ).replace(b"----", b"gXYZ")  # fmt: skip


def frames(format, **options):
    return encoded(plain(RED), format, save_all=True, append_images=[plain(BLUE), plain(GREEN)], **options)


def half_clear(mode):
    image = halves().convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    return image.convert(mode)


def middle_grey(mode):
    image = plain((0, 0, 0)).convert("RGBA")
    image.putalpha(Image.new("L", image.size, 128))
    return image.convert(mode)


JPEG, PNG = encoded(halves(size=(200, 200)), "JPEG"), encoded(Image.effect_noise((200, 200), 50))
LAB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
SIXTEEN = Image.fromarray(np.full((20, 20), 257 * 40, np.uint16))

#: file by file: its bytes, and the colours that the left and the right of it become
ODD = {
    "jpeg": (encoded(halves(), "JPEG"), RED, BLUE),
    "jpeg-progressive": (encoded(halves(), "JPEG", progressive=True), RED, BLUE),
    "jpeg-grey": (encoded(plain((90, 90, 90), "L"), "JPEG"), (90, 90, 90), (90, 90, 90)),
    "jpeg-cmyk-inverted-by-adobe": (encoded(halves().convert("CMYK"), "JPEG"), RED, BLUE),
    "jpeg-upside-down": (oriented("JPEG", 3), BLUE, RED),
    "jpeg-mirrored": (oriented("JPEG", 2), BLUE, RED),
    "jpeg-with-an-exif-that-is-broken": (encoded(halves(), "JPEG", exif=b"Exif\0\0MM\0\x2a\xff\xff"), RED, BLUE),
    "jpeg-with-a-profile": (encoded(plain(RED), "JPEG", icc_profile=swapping_profile()), GREEN, GREEN),
    "jpeg-with-a-profile-that-is-broken": (encoded(halves(), "JPEG", icc_profile=b"no profile"), RED, BLUE),
    "jpeg-with-a-profile-of-another-space": (encoded(halves(), "JPEG", icc_profile=LAB_PROFILE), RED, BLUE),
    "jpeg-with-something-behind-it": (JPEG + b"something else" * 100, RED, BLUE),
    "jpeg-of-several-images": (frames("MPO"), RED, RED),
    "jpeg-of-a-pixel": (encoded(plain(size=(1, 1)), "JPEG"), RED, RED),
    "jpeg-that-is-very-long": (encoded(plain(size=(4000, 1)), "JPEG"), RED, RED),
    "png-clear": (encoded(half_clear("RGBA")), WHITE, WHITE),
    "png-half-clear": (encoded(middle_grey("RGBA")), (127, 127, 127), (127, 127, 127)),
    "png-grey-half-clear": (encoded(middle_grey("LA")), (127, 127, 127), (127, 127, 127)),
    "png-half-clear-with-a-profile": (
        encoded(middle_grey("RGBA"), icc_profile=swapping_profile()), (127, 127, 127), (127, 127, 127)
    ),
    "png-palette": (palette([RED, BLUE]), RED, BLUE),
    "png-palette-with-a-clear-colour": (palette([RED, BLUE], transparency=0), WHITE, BLUE),
    "png-palette-with-alpha": (palette([BLACK, BLUE], transparency=bytes([128, 255])), (127, 127, 127), BLUE),
    "png-one-bit": (encoded(plain(WHITE, "1")), WHITE, WHITE),
    "png-grey-with-a-clear-value": (encoded(plain((90, 90, 90), "L"), transparency=90), WHITE, WHITE),
    "png-rgb-with-a-clear-colour": (encoded(halves(), transparency=RED), WHITE, BLUE),
    "png-16-bit-grey": (encoded(SIXTEEN), (40, 40, 40), (40, 40, 40)),
    "png-16-bit-grey-with-a-clear-value": (encoded(SIXTEEN, transparency=257 * 40), WHITE, WHITE),
    "png-16-bit-rgb": (png(2, 1, 16, 2, b"\0" + b"\xff\xff\0\0\0\0" + b"\0\0\0\0\xff\xff"), RED, BLUE),
    "png-animated": (frames("PNG"), RED, RED),
    "png-turned": (oriented("PNG", 3), BLUE, RED),
    "gif": (encoded(halves(), "GIF"), RED, BLUE),
    "gif-animated": (frames("GIF"), RED, RED),
    "gif-with-a-clear-colour": (encoded(halves().quantize(2), "GIF", transparency=0), None, None),
    "webp": (encoded(halves(), "WEBP", lossless=True), RED, BLUE),
    "webp-clear": (encoded(half_clear("RGBA"), "WEBP"), WHITE, WHITE),
    "webp-animated": (frames("WEBP", lossless=True), RED, RED),
    "webp-turned": (oriented("WEBP", 3), BLUE, RED),
    "bmp": (encoded(halves(), "BMP"), RED, BLUE),
    "bmp-palette": (encoded(plain(RED, "P"), "BMP"), RED, RED),
    "tiff": (encoded(halves(), "TIFF"), RED, BLUE),
    "tiff-of-several-pages": (frames("TIFF"), RED, RED),
    "tiff-turned": (oriented("TIFF", 3), BLUE, RED),
    "tiff-cmyk": (encoded(halves().convert("CMYK"), "TIFF"), RED, BLUE),
    "tiff-lab": (encoded(Image.new("LAB", (9, 9), (255, 128, 128)), "TIFF"), None, None),
    "tiff-ycbcr": (encoded(halves().convert("YCbCr"), "TIFF"), RED, BLUE),
    "tiff-16-bit-grey": (encoded(SIXTEEN, "TIFF"), (40, 40, 40), (40, 40, 40)),
    "tiff-jpeg-inside": (encoded(halves(), "TIFF", compression="jpeg"), RED, BLUE),
}  # fmt: skip

#: file by file: its bytes, and what the reason says
BAD = {
    "empty": (b"", "the file is empty"),
    "text": (b"not an image at all", "not an image of a known format"),
    "zeros": (bytes(5000), "not an image of a known format"),
    "page": (b"<!DOCTYPE html><html><img></html>", "not an image of a known format"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not an image of a known format"),
    "pdf": (encoded(plain(), "PDF"), "not an image of a known format"),
    "eps": (encoded(plain(), "EPS"), "not an image of a known format"),
    "ppm": (encoded(plain(), "PPM"), "not an image of a known format"),
    "ico": (encoded(plain(), "ICO"), "not an image of a known format"),
    "tga": (encoded(plain(), "TGA"), "not an image of a known format"),
    "jpeg-2000": (encoded(plain(), "JPEG2000"), "not an image of a known format"),
    "heic-head": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "not an image of a known format"),
    "jpeg-head-alone": (JPEG[:20], "not an image of a known format"),
    "jpeg-cut": (JPEG[: len(JPEG) // 2], "truncated"),
    "jpeg-without-its-end": (JPEG[:-40], "truncated"),
    "png-cut": (PNG[: len(PNG) // 2], "truncated"),
    "png-without-pixels": (PNG[:60], "cannot be decoded|truncated"),
    "png-with-a-wrong-checksum": (PNG[:2000] + b"\0" * 2000 + PNG[4000:], "cannot be decoded"),
    "png-without-width": (png(0, 10, 8, 2, b""), "cannot be decoded|not an image"),
    "gif-cut": (encoded(Image.effect_noise((200, 200), 50), "GIF")[:5000], "truncated"),
    "webp-cut": (encoded(Image.effect_noise((200, 200), 50), "WEBP")[:900], "not an image|cannot be decoded"),
    "bmp-cut": (encoded(halves(), "BMP")[:900], "truncated"),
    "tiff-cut": (encoded(halves(), "TIFF")[:900], "truncated|cannot be decoded|not an image"),
    "tiff-of-floats": (encoded(Image.new("F", (8, 8), 0.7), "TIFF"), "its pixels are floating-point"),
    "png-that-claims-too-much": (png(60_000, 60_000, 8, 2, b""), "too large: 60000x60000 pixels"),
    "png-just-above-the-limit": (png(10_001, 10_000, 8, 2, b""), "too large: 10001x10000 pixels"),
    "gif-that-claims-too-much": (
        b"GIF89a\xff\xff\xff\xff\0\0\0" + b",\0\0\0\0\xff\xff\xff\xff\0\x02",
        "too large: 65535x65535",
    ),
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """All of it in one folder, under names that say nothing of the format, and what became of it."""
    folder = tmp_path_factory.mktemp("corpus")
    names = [*ODD, *BAD]
    files = [folder / f"{name}.jpg" for name in names]
    for name, file in zip(names, files, strict=True):
        file.write_bytes({**ODD, **BAD}[name][0])
    images = open_images(files, FORM)
    pixels = {names[row]: images.x[position] for position, row in enumerate(images.rows)}
    return pixels, {names[row]: reason for row, reason in images.set_aside.items()}


@pytest.mark.parametrize("name", ODD)
def test_what_an_odd_image_becomes(corpus, name):
    pixels = corpus[0][name]
    for column, colour in ((2, ODD[name][1]), (SIZE - 3, ODD[name][2])):
        if colour is not None:
            np.testing.assert_allclose(pixels[SIZE // 2, column], colour, atol=12)


@pytest.mark.parametrize("name", ODD)
def test_a_model_sees_the_same_when_it_predicts(corpus, name):
    assert (decode(ODD[name][0], FORM) == corpus[0][name]).all()


@pytest.mark.parametrize("name", BAD)
def test_why_a_bad_file_is_set_aside(corpus, name):
    assert name not in corpus[0]
    assert re.match(BAD[name][1], corpus[1][name])


@pytest.mark.parametrize("name", BAD)
def test_why_a_bad_file_is_not_predicted(corpus, name):
    with pytest.raises(UnreadableImageError) as caught:
        decode(BAD[name][0], FORM)
    # beyond a limit of its own, Pillow does not say how large an image is
    assert str(caught.value).partition(":")[0] == corpus[1][name].partition(":")[0]


def signal_of(name):
    return f"signal {int(Signals[name])}"


CRASHING = """
import os, signal
from tagfit.images import worker
whole = worker.shrink
def crash(encoded, size, **options):
    if b"crash" in encoded:
        os.kill(os.getpid(), getattr(signal, encoded[5:12].decode()))
    return whole(encoded, size, **options)
worker.shrink = crash
worker.main()
"""


@pytest.mark.parametrize("signal", ["SIGSEGV", "SIGKILL"])
def test_an_image_that_crashes_the_decoder_is_named_and_the_others_are_read(tmp_path, monkeypatch, signal, caplog):
    files = [tmp_path / f"{number}.jpg" for number in range(8)]
    for number, file in enumerate(files):
        file.write_bytes(b"crash" + signal.encode() if number in (2, 3) else encoded(plain((30 * number, 9, 9))))
    monkeypatch.setattr(decoder, "worker_command", lambda: (sys.executable, "-c", CRASHING))
    images = open_images(files, FORM)
    assert images.rows.tolist() == [0, 1, 4, 5, 6, 7]
    assert images.x[:, 0, 0, 0].tolist() == [0, 30, 120, 150, 180, 210]
    assert list(images.set_aside) == [2, 3]
    assert all(reason.startswith("the decoder crashed: signal") for reason in images.set_aside.values())
    assert {f"the decoder crashed at {files[2]} ({signal_of(signal)}); it is tried once more"} < set(caplog.messages)
    # memory may have been short: the next run tries again
    monkeypatch.undo()
    assert open_images(files, FORM).set_aside[2].startswith("not an image")


def test_a_decoder_that_does_not_start_is_no_fault_of_the_images(tmp_path, monkeypatch):
    (tmp_path / "new.png").write_bytes(encoded(plain((1, 2, 3))))
    monkeypatch.setattr(decoder, "worker_command", lambda: (sys.executable, "-c", "raise SystemExit(7)"))
    with pytest.raises(decoder.TagfitError, match="does not start: exit code 7"):
        open_images([tmp_path / "new.png"], FORM)
