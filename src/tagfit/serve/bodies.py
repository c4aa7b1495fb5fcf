"""What a request brings: its body, read within limits, and the images or feature rows in it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field as FormField
from python_multipart.multipart import File, FormParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from tagfit.serve.limits import Limits
from tagfit.serve.problems import ProblemError, busy

#: what a field of a form that holds an image may be called, if it is not sent as a file; as a file it may have any name
_IMAGE_FIELDS = (b"images", b"image", b"files", b"file", b"pictures")

#: letters of a file's name that are handed back
_NAME = 255

#: faults of a JSON body that are spelt out
_FAULTS = 20

#: bytes of JSON that are parsed in some milliseconds, whatever they hold
_QUICK = 1 << 16

#: bytes of a body that have to come in each so many seconds
PROGRESS_BYTES, PROGRESS_SECONDS = 10_000, 10.0

#: commas of JSON beside those between values
_SPARE = 16


#: (n, D)
FeatureRows = NDArray[np.float64]


@dataclass(frozen=True)
class RequestImages:
    """Encoded images, and what each is called: its file's name, or its number from 1."""

    encoded: tuple[bytes, ...]
    names: tuple[str, ...]


class JsonBody(BaseModel):
    """Images or feature rows, not both."""

    model_config = ConfigDict(extra="forbid", strict=True)

    images: list[str] | None = Field(default=None, min_length=1, description="image files in base64")
    features: list[list[float]] | None = Field(
        default=None, min_length=1, description="or rows of finite numbers, each as long as the model was trained on"
    )


@dataclass(eq=False)
class Room:
    """Bytes of one request's body that are held, for an address."""

    address: str
    size: int = 0


class Bodies:
    """Reads bodies; of all that are held at once, only so many bytes, and half of that for one address.

    This machine's own address may have all of it: there, a proxy may ask for many.

    Args:
        width: values of one sample in JSON: 1 for an image, else the features.
    """

    def __init__(self, limits: Limits, width: int) -> None:
        self._limits, self._width = limits, width
        self._rooms: set[Room] = set()

    @contextmanager
    def room(self, request: Request) -> Iterator[Room]:
        """Within, what comes of the request's body is held.

        Raises:
            ProblemError: 413, 415 or 429.
        """
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise ProblemError(415, "Send the body without Content-Encoding.")
        # digits: the server has read them before
        if int(request.headers.get("content-length", "0")) > self._limits.body:
            raise self._too_large()
        room = Room(request.client.host if request.client else "")
        self._demand(room, 1)
        self._rooms.add(room)
        try:
            yield room
        finally:
            self._rooms.remove(room)

    def _demand(self, room: Room, size: int) -> None:
        """Raises ProblemError: 429."""
        held = sum(other.size for other in self._rooms)
        by_address = sum(other.size for other in self._rooms if other.address == room.address)
        share = self._limits.memory if _is_own(room.address) else self._limits.memory // 2
        if held + size > self._limits.memory or by_address + size > share:
            raise busy(1)

    async def read(self, request: Request, room: Room) -> bytes:
        """All of it.

        Raises:
            ProblemError: 400 if the client is gone, 408 if it hardly sends, 413, 429.
        """
        body, loop, recent = bytearray(), asyncio.get_running_loop(), 0
        try:
            async with asyncio.timeout(PROGRESS_SECONDS) as progress:
                async for chunk in request.stream():
                    self._demand(room, len(chunk))
                    body += chunk
                    room.size = len(body)
                    if room.size > self._limits.body:
                        raise self._too_large()
                    recent += len(chunk)
                    if recent >= PROGRESS_BYTES:
                        recent = 0
                        progress.reschedule(loop.time() + PROGRESS_SECONDS)
        except ClientDisconnect:
            raise ProblemError(400, "The body is incomplete.") from None
        except TimeoutError:
            detail = f"The body came too slowly: less than {PROGRESS_BYTES:,} bytes in {PROGRESS_SECONDS:g} s."
            raise ProblemError(408, detail, headers={"connection": "close"}) from None
        return bytes(body)

    def parse(self, body: bytes, content_type: str) -> RequestImages | FeatureRows:
        """The images in it, or its (n, D) feature rows.

        Raises:
            ProblemError: 400, 413, 415 or 422.
        """
        kind, options = parse_options_header(content_type)
        if kind == b"multipart/form-data":
            return self._multipart(body, options.get(b"boundary", b""))
        if kind == b"application/json":
            return self._json(body)
        if kind.startswith(b"image/") or kind == b"application/octet-stream":
            if not body:
                raise ProblemError(422, "The body is empty; expected an image.")
            return RequestImages((body,), ("1",))
        raise ProblemError(
            415,
            "Expected a Content-Type of multipart/form-data, application/json, image/* or application/octet-stream.",
            headers={"accept-post": "multipart/form-data, application/json, image/*, application/octet-stream"},
        )

    def _multipart(self, body: bytes, boundary: bytes) -> RequestImages:
        encoded: list[bytes] = []
        names: list[str] = []
        ended: list[bool] = []

        def add(name: bytes, content: bytes) -> None:
            self._demand_few(len(encoded) + 1)
            encoded.append(content)
            names.append(name.decode("utf-8", "replace")[:_NAME] or str(len(encoded)))

        def add_file(file: File) -> None:
            file.file_object.seek(0)
            add(file.file_name or b"", file.file_object.read())

        def add_field(field: FormField) -> None:
            if field.field_name not in _IMAGE_FIELDS:
                raise ProblemError(422, "The form has a field that is not a file: send each image as a file.")
            add(b"", field.value or b"")

        try:
            if not boundary:
                raise FormParserError("its Content-Type names no boundary")
            parser = FormParser(
                "multipart/form-data",
                on_field=add_field,
                on_file=add_file,
                on_end=lambda: ended.append(True),
                boundary=boundary,
                config={"MAX_MEMORY_FILE_SIZE": self._limits.body},  # none is written to the disk
            )
            parser.write(body)
            parser.finalize()
        except FormParserError as error:
            raise ProblemError(400, f"The multipart body cannot be read: {error}") from None
        if not ended:
            raise ProblemError(400, "The multipart body cannot be read: its last boundary is missing.")
        if not encoded:
            raise ProblemError(422, "The form holds no image; send each one as a file, under any name.")
        return RequestImages(tuple(encoded), tuple(names))

    def _json(self, body: bytes) -> RequestImages | FeatureRows:
        # neither base64 nor numbers hold a comma: what has far too many is seen before seconds are spent on parsing it
        if len(body) > _QUICK and body.count(b",") > 2 * self._limits.images * self._width + _SPARE:
            raise ProblemError(413, f"The body has more values than {self._limits.images} images or rows can have.")
        try:
            given = JsonBody.model_validate_json(body)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            faults = [f"{_place(fault['loc'])}: {fault['msg']}" for fault in found[:_FAULTS]]
            unreadable = found[0]["type"] == "json_invalid"
            raise ProblemError(400 if unreadable else 422, "The JSON body is not what was expected.", faults) from None
        if (given.images is None) == (given.features is None):
            raise ProblemError(422, "Expected either images or features.")
        if given.images is not None:
            self._demand_few(len(given.images))
            names = tuple(map(str, range(1, len(given.images) + 1)))
            return RequestImages(tuple(_decoded(given.images)), names)
        rows = given.features or []
        self._demand_few(len(rows))
        if len({len(row) for row in rows}) > 1:
            raise ProblemError(422, "Feature rows must all have the same length.")
        return np.array(rows, dtype=np.float64)

    def _demand_few(self, count: int) -> None:
        if count > self._limits.images:
            raise ProblemError(413, f"A request may hold at most {self._limits.images} images or rows.")

    def _too_large(self) -> ProblemError:
        return ProblemError(413, f"A request may have at most {self._limits.body:,} bytes.")


def _is_own(address: str) -> bool:
    """Whether it is this machine's; so is what has none, as a socket of Unix."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return True


def _place(loc: tuple[int | str, ...]) -> str:
    return "/".join(str(part)[:40] for part in loc) or "body"


def _decoded(images: list[str]) -> Iterator[bytes]:
    for number, image in enumerate(images, 1):
        try:
            encoded = base64.b64decode(image, validate=True)
        except (binascii.Error, ValueError):  # ValueError: letters beyond ASCII
            raise ProblemError(422, f"images/{number - 1} is not base64.") from None
        if not encoded:
            raise ProblemError(422, f"images/{number - 1} is empty.")
        yield encoded
