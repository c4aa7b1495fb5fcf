"""The process that opens images, and nothing else: an image that takes it down takes nothing with it.

It speaks over its stdin and stdout in frames of eight bytes of length and the content: a path or a file's bytes come
in; if a digest is asked for, it goes out, and whether pixels are wanted comes in; if so, they go out.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import struct
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from tagfit.images.decode import BYTES_A_PIXEL, UnreadableImageError, shrink
from tagfit.io.files import regular_file
from tagfit.records.form import ImageForm

#: how a request begins: whether a digest is asked for, and what follows; and what is answered to a digest
DIGEST, PIXELS, FILE, BYTES, WANTED, KNOWN = b"D", b"P", b"F", b"B", b"W", b"K"

#: nanoseconds; a file that was written so recently may be written again without a new time, by the clock of its disk
_SETTLED = 2_000_000_000

_LENGTH = struct.Struct(">Q")


def send(pipe: BinaryIO, content: bytes) -> None:
    """Write a frame.

    Raises:
        OSError: the other side is gone.
    """
    pipe.write(_LENGTH.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def receive(pipe: BinaryIO) -> bytes:
    """Read a frame.

    Raises:
        EOFError: the other side is gone.
    """
    length = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))[0]
    return _exactly(pipe, length)


def _exactly(pipe: BinaryIO, length: int) -> bytes:
    content = pipe.read(length)
    if len(content) < length:
        raise EOFError
    return content


def stamp(file: os.stat_result) -> tuple[int, int, int, int]:
    """Size, time of change, time of change of its entry, and number: another file or another content differ in one."""
    return file.st_size, file.st_mtime_ns, file.st_ctime_ns, file.st_ino


def serve(incoming: BinaryIO, outgoing: BinaryIO, form: ImageForm, max_pixels: int) -> None:
    """Answer until the other side is gone."""
    send(outgoing, b"ready")
    while True:
        request = receive(incoming)
        try:
            encoded, read = _encoded(request[1:], BYTES_A_PIXEL * max_pixels)
        except (OSError, ValueError) as error:  # a path with a NUL in it is of the wrong value
            send(outgoing, _told(reason=f"cannot be read: {getattr(error, 'strerror', '') or error}"))
            continue
        if request[:1] == DIGEST:
            send(outgoing, _told(digest=hashlib.sha256(encoded).hexdigest(), stamp=read))
            if receive(incoming) != WANTED:
                continue
        try:
            small, taken = shrink(encoded, form, max_pixels=max_pixels)
        except UnreadableImageError as error:
            if isinstance(error.__cause__, MemoryError):
                raise  # that says nothing of the image
            send(outgoing, _told(reason=str(error)))
        else:
            send(outgoing, _told(time=taken))
            send(outgoing, small.tobytes())


def _told(**values: Any) -> bytes:
    return json.dumps(values).encode()


def _encoded(request: bytes, most: int) -> tuple[bytes, tuple[int, int, int, int] | None]:
    """A file's bytes, `most` of them; and its stamp, if a later change is sure to change that too."""
    if request[:1] == BYTES:
        return request[1:], None
    with regular_file(Path(os.fsdecode(request[1:])), most) as file:
        before = stamp(os.fstat(file.fileno()))
        settled = max(before[1:3]) + _SETTLED < time.time_ns()
        encoded = file.read()
        return encoded, before if settled and before == stamp(os.fstat(file.fileno())) else None


def main() -> None:
    """Run as `python -m tagfit.images.worker FORM MAX_PIXELS`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C is for the process that waits for this one
    with suppress(OSError):  # where memory runs out, Linux is to end this process, and not that one
        Path("/proc/self/oom_score_adj").write_text("1000")
    incoming, outgoing = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a decoder prints must not come between the frames
    Image.MAX_IMAGE_PIXELS = None  # the limit is decode's own
    warnings.simplefilter("ignore")  # Pillow warns of odd metadata; pixels or a reason are all that counts
    form, max_pixels = ImageForm(**json.loads(sys.argv[1])), int(sys.argv[2])
    with suppress(EOFError, BrokenPipeError):
        serve(incoming, outgoing, form, max_pixels)


if __name__ == "__main__":
    main()
