"""The paths of a page where labels are reviewed. Answers are the records of `labels.review`, as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tagfit.errors import InputError, OutputError
from tagfit.labels.gain import ExpectedGain
from tagfit.labels.review import Decision, Filter, Order, QueueName, Review, ReviewProgress, Said, SampleCard
from tagfit.serve.guard import Access, Guard
from tagfit.serve.pages import answering, page_files
from tagfit.serve.pictures import Pictures
from tagfit.serve.problems import ProblemError, problem_of

#: bytes of a request's body, seconds in which it has to arrive, and cards of one answer
_MOST_BODY, _SECONDS, _MOST_CARDS = 1 << 20, 30.0, 500

#: minutes ahead for which the gain is estimated
_MINUTES = 10

_Body = TypeVar("_Body")

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class DecideBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a window decides: of each sample, labels by their numbers."""

    window: Name
    queue: QueueName
    decisions: Annotated[list[Decision], msgspec.Meta(min_length=1, max_length=_MOST_CARDS)]


class UndoBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which window takes its last decisions back."""

    window: Name
    queue: QueueName


class PageQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which cards of a queue are asked for."""

    queue: QueueName
    start: Annotated[int, msgspec.Meta(ge=0)] = 0
    count: Annotated[int, msgspec.Meta(ge=1, le=_MOST_CARDS)] = 60
    name: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    label: Annotated[int, msgspec.Meta(ge=0)] | None = None
    said: Said = ""
    low: float = 0.0
    high: float = 1.0
    order: Order = "given"
    left: bool = False


@dataclass(frozen=True)
class ReviewSummary:
    """What a page needs to know before it shows a card."""

    name: str
    model: str
    file: str
    images: bool
    labels: tuple[str, ...]
    keys: tuple[str, ...]
    notes: tuple[str, ...]
    progress: ReviewProgress


@dataclass(frozen=True)
class Changed:
    """The samples that a decision changed, and how far all is; `kept` labels were changed by somebody else since."""

    cards: tuple[SampleCard, ...]
    progress: ReviewProgress
    gain: str
    kept: int = 0


class ReviewPaths:
    """What the paths answer."""

    def __init__(self, review: Review, gain: ExpectedGain) -> None:
        self._review, self._gain = review, gain
        self._pictures = Pictures(review.dataset)
        self._pages = page_files("review_page")

    def routes(self) -> list[Route]:
        return [
            *(Route(path, answering(self._pages)) for path in self._pages),
            Route("/v1/review", _answering(lambda request: self.summary())),
            Route("/v1/review/queue/{queue}", _answering(self.queue)),
            Route("/v1/review/neighbours/{row:int}", _answering(self.neighbours)),
            Route("/v1/review/small/{row:int}", _picture(self._pictures.small)),
            Route("/v1/review/large/{row:int}", _picture(self._pictures.large)),
            Route("/v1/review/decide", self.decide, methods=["POST"]),
            Route("/v1/review/undo", self.undo, methods=["POST"]),
            Route("/healthz", _answering(lambda request: {"state": "ok"})),
        ]

    def summary(self) -> ReviewSummary:
        review, dataset = self._review, self._review.dataset
        return ReviewSummary(
            name=dataset.name,
            model=review.model,
            file=str(review.path),
            images=dataset.images is not None,
            labels=dataset.label_names,
            keys=review.keys,
            notes=review.notes,
            progress=review.progress(),
        )

    def queue(self, request: Request) -> object:
        asked = _asked_of(request)
        if asked.label is not None and asked.label >= len(self._review.dataset.label_names):
            raise ProblemError(422, "There is no label of that number.")
        chosen = Filter(asked.name, asked.label, asked.said, asked.low, asked.high, asked.order, asked.left)
        return self._review.page(asked.queue, chosen, asked.start, asked.count)

    def neighbours(self, request: Request) -> object:
        return self._review.neighbours(request.path_params["row"])

    async def decide(self, request: Request) -> Response:
        return _json(await run_in_threadpool(self._decided, await _body(request, DecideBody)))

    async def undo(self, request: Request) -> Response:
        return _json(await run_in_threadpool(self._undone, await _body(request, UndoBody)))

    def _decided(self, body: DecideBody) -> Changed:
        self._review.decide(body.window, body.decisions)
        return self._changed([one.row for one in body.decisions], body.queue)

    def _undone(self, body: UndoBody) -> Changed:
        rows, kept = self._review.undo(body.window)
        return self._changed(rows, body.queue, kept)

    def _changed(self, rows: Iterable[int], queue: QueueName, kept: int = 0) -> Changed:
        progress = self._review.progress()
        gain = self._gain.of_minutes(_MINUTES, progress.pace)
        return Changed(self._review.cards(rows, queue), progress, gain, kept)


def create_review(review: Review, gain: ExpectedGain, access: Access) -> ASGIApp:
    """The whole app, behind the guard."""
    paths = ReviewPaths(review, gain)
    handlers = {HTTPException: _refuse, InputError: _refuse, Exception: _refuse}
    return Guard(Starlette(routes=paths.routes(), exception_handlers=handlers), access)


def _answering(made: Callable[[Request], object]) -> Callable[[Request], Awaitable[Response]]:
    """Answers with a record that is made in a thread."""

    async def answer(request: Request) -> Response:
        return _json(await run_in_threadpool(made, request))

    return answer


def _picture(made: Callable[[int], bytes]) -> Callable[[Request], Awaitable[Response]]:
    """Answers with the image of a row, which a page keeps: it asks under an address of its own."""

    async def answer(request: Request) -> Response:
        found = await run_in_threadpool(made, request.path_params["row"])
        return Response(found, media_type="image/webp", headers={"cache-control": "private, max-age=3600"})

    return answer


def _json(record: object) -> Response:
    return Response(msgspec.json.encode(record), media_type="application/json")


def _asked_of(request: Request) -> PageQuery:
    """What a path and its query ask for.

    Raises:
        ProblemError: 422.
    """
    given = {**request.path_params, **request.query_params}
    try:
        return msgspec.convert(given, PageQuery, strict=False)
    except msgspec.ValidationError as error:
        raise ProblemError(422, f"The request does not fit: {error}") from None


async def _body(request: Request, kind: type[_Body]) -> _Body:
    """A JSON body.

    Raises:
        ProblemError: 400, 408, 413, 415 or 422.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise ProblemError(415, "Send JSON, with content-type: application/json.")
    content = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for chunk in request.stream():
                content += chunk
                if len(content) > _MOST_BODY:
                    raise ProblemError(413, f"A body may have at most {_MOST_BODY:,} bytes.")
    except TimeoutError:
        raise ProblemError(408, f"The body did not arrive within {_SECONDS:g} s.") from None
    try:
        return msgspec.json.decode(bytes(content), type=kind)
    except msgspec.ValidationError as error:
        raise ProblemError(422, f"The request does not fit: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProblemError(400, f"The body is not JSON: {error}") from None


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, OutputError):
        error = ProblemError(507, str(error))
    elif isinstance(error, InputError):
        error = ProblemError(422, str(error))
    return problem_of(error).response()
