"""The paths that a server answers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from jinja2 import Environment, PackageLoader
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import tagfit
from tagfit.errors import DataError
from tagfit.inference.tagger import Tagger
from tagfit.metrics.scores import THRESHOLD
from tagfit.metrics.titles import TITLES
from tagfit.serve import answers
from tagfit.serve.batching import Batcher
from tagfit.serve.bodies import Bodies, FeatureRows, RequestImages, Room
from tagfit.serve.decoding import RequestDecoders
from tagfit.serve.guard import Access, Guard
from tagfit.serve.limits import Limits
from tagfit.serve.metrics import ServerMetrics
from tagfit.serve.pages import answering, page_files
from tagfit.serve.problems import ProblemError, busy, problem_of

log = logging.getLogger(__name__)

PREDICT = "/v1/predict"


class Service:
    """One model at work: what the paths share. It belongs to the loop that it was made in."""

    def __init__(self, name: str, tagger: Tagger, limits: Limits) -> None:
        self.name, self.tagger, self.limits = name, tagger, limits
        self.metrics = ServerMetrics(lambda: self.batcher.waiting)
        self.batcher = Batcher(tagger, limits, self.metrics.batch)
        features = tagger.preprocessing.kind == "features"
        self.bodies = Bodies(limits, tagger.preprocessing.shape[0] if features else 1)
        self.decoders = (
            RequestDecoders(tagger.form, limits.pixels, self.metrics.crashes.inc) if tagger.takes_images else None
        )
        self._explaining = False

    def close(self) -> None:
        self.batcher.close()
        if self.decoders is not None:
            self.decoders.close()

    async def brought(self, request: Request, room: Room) -> RequestImages | FeatureRows:
        """What a request asks about.

        Raises:
            ProblemError: 400, 408, 413, 415, 422 or 429.
        """
        try:
            async with asyncio.timeout(self.limits.seconds):
                body = await self.bodies.read(request, room)
        except TimeoutError:
            raise ProblemError(
                408, f"The body did not arrive within {self.limits.seconds:g} s.", headers={"connection": "close"}
            ) from None
        return self.bodies.parse(body, request.headers.get("content-type", ""))

    async def predictions(self, brought: RequestImages | FeatureRows) -> answers.PredictedSamples:
        """A record for each image or row.

        Raises:
            ProblemError: 422, 429 or 503.
        """
        count = len(brought.names) if isinstance(brought, RequestImages) else len(brought)
        with self.batcher.room_for(count):
            try:
                async with asyncio.timeout(self.limits.seconds):
                    if isinstance(brought, RequestImages):
                        return await self._of_images(brought)
                    return await self._of_rows(brought)
            except TimeoutError:
                raise ProblemError(503, f"The request took longer than {self.limits.seconds:g} s.") from None

    async def _of_rows(self, rows: FeatureRows) -> answers.PredictedSamples:
        expected = self.tagger.preprocessing.shape
        if self.tagger.preprocessing.kind != "features" or rows.shape[1:] != expected:
            what = "images" if self.tagger.preprocessing.kind == "images" else f"rows of {expected[0]} features"
            raise ProblemError(422, f"This model takes {what}; got rows of {rows.shape[1]} features.")
        with np.errstate(over="ignore"):
            x = rows.astype(np.float32)
        if not np.isfinite(x).all():
            raise ProblemError(422, "Features must be finite in float32.")
        try:
            prediction = await self.batcher.predict(x)
        except DataError as error:  # what this model asks beyond the shape
            raise ProblemError(422, str(error)) from None
        if len(prediction.errors) == len(x):
            reasons = [f"{row + 1}: {reason}" for row, reason in sorted(prediction.errors.items())]
            raise ProblemError(422, "No row has scores.", reasons)
        return answers.predicted(tuple(map(str, range(1, len(x) + 1))), prediction, {})

    async def _of_images(self, images: RequestImages) -> answers.PredictedSamples:
        if self.decoders is None:
            raise ProblemError(422, "This model takes feature rows, not images.")
        outcomes = await self.decoders.decode(images.encoded)
        errors = {number: outcome.reason for number, outcome in enumerate(outcomes) if outcome.pixels is None}
        readable = [outcome.pixels for outcome in outcomes if outcome.pixels is not None]
        self.metrics.unreadable.inc(len(errors))
        if not readable:
            reasons = [f"{images.names[number]}: {reason}" for number, reason in errors.items()]
            raise ProblemError(422, "No image could be read.", reasons)
        return answers.predicted(images.names, await self.batcher.predict(np.stack(readable)), errors)

    async def explanation(self, brought: RequestImages | FeatureRows, label: str) -> bytes:
        """Which part of an image speaks for a label, as a PNG; one at a time, as it takes many questions.

        Raises:
            ProblemError: 422, 429 or 503.
        """
        if label not in self.tagger.label_names:
            raise ProblemError(422, "This model has no label of that name.")
        if not isinstance(brought, RequestImages) or len(brought.encoded) > 1 or self.decoders is None:
            raise ProblemError(422, "Only one image can be explained at a time.")
        if self._explaining:
            raise busy(1)
        self._explaining = True
        try:
            with self.batcher.room_for(1):
                outcome = (await self.decoders.decode(brought.encoded))[0]
                if (seen := outcome.pixels) is None:
                    raise ProblemError(422, "The image could not be read.", [outcome.reason])
                return await self.batcher.alone(lambda: self.tagger.explain(seen, [label]).layer(label))
        finally:
            self._explaining = False

    def labels(self) -> answers.ModelLabels:
        """What `/v1/labels` answers."""
        tagger, rule, limits, form = self.tagger, self.tagger.decider.rule, self.limits, self.tagger.form
        names = tagger.label_names
        thresholds = (THRESHOLD,) * len(names) if rule is None else rule.thresholds
        return answers.ModelLabels(
            model=self.name,
            origin=_origin(tagger),
            takes="images" if tagger.takes_images else "features",
            features=tagger.preprocessing.shape[0] if tagger.preprocessing.kind == "features" else None,
            labels=[
                answers.LabelThreshold(name=name, threshold=threshold, f1=f1)
                for name, threshold, f1 in zip(names, thresholds, _label_f1(tagger), strict=True)
            ],
            decides_by="scores" if rule is None else "probabilities",
            rule="above 0.5" if rule is None else rule.describe(names),
            at_least_one=rule is not None and rule.at_least_one,
            at_most=None if rule is None else rule.at_most,
            by_sets=rule is not None and bool(rule.label_sets),
            explains=tagger.takes_images,
            shown=form.size / (form.shrunk_to or form.size) if form.keeps_aspect or form.shrunk_to else None,
            limits={
                "bytes": limits.body,
                "images": limits.images,
                "pixels": limits.pixels,
                "seconds": limits.seconds,
            },
        )


def _origin(tagger: Tagger) -> answers.ModelOrigin | None:
    if (origin := tagger.origin) is None:
        return None
    return answers.ModelOrigin(
        data=origin.data,
        made=origin.made,
        metric=TITLES.get(origin.metric),
        part=origin.part,
        score=origin.score,
        interval=origin.interval,
    )


def _label_f1(tagger: Tagger) -> Sequence[float | None]:
    known = () if tagger.origin is None else tagger.origin.label_f1
    return known or (None,) * len(tagger.label_names)


def create_app(name: str, tagger: Tagger, limits: Limits, access: Access, ending: Callable[[], bool]) -> ASGIApp:
    """The whole app.

    Args:
        name: what the model is called.
        ending: whether the server is about to end.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = service = Service(name, tagger, limits)
        try:
            yield
        finally:
            service.close()

    app = FastAPI(
        title="tagfit",
        version=tagfit.__version__,
        description="Predicts labels of images or feature rows.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        servers=[{"url": "/"}],
        responses=answers.problems(400, 401, 403, 421),
        exception_handlers={HTTPException: _refuse, RequestValidationError: _refuse, Exception: _refuse},
    )
    if tagger.takes_images:
        _add_explain(app)
    _add_paths(app, ending)
    _add_pages(app)
    return Guard(_Counted(app), access)


def _add_paths(app: FastAPI, ending: Callable[[], bool]) -> None:
    @app.post(
        PREDICT,
        summary="Predict images or feature rows",
        response_description="The answer.",
        response_model=answers.PredictedSamples,
        responses=answers.problems(408, 413, 415, 422, 429, 503),
        openapi_extra={"requestBody": answers.PREDICT_BODY},
    )
    async def predict(request: Request) -> Response:
        """Send one image as the body, or several as files of a form (under any name) or as base64 in JSON."""
        service: Service = request.app.state.service
        with service.bodies.room(request) as room:
            found = await service.predictions(await service.brought(request, room))
        return answers.answer(found)

    @app.get(
        "/v1/labels",
        summary="Labels, thresholds and limits of the model",
        response_description="The answer.",
        response_model=answers.ModelLabels,
    )
    async def labels(request: Request) -> Response:
        return answers.answer(request.app.state.service.labels())

    @app.get(
        "/healthz",
        summary="Is the server alive?",
        response_description="It is.",
        response_model=answers.State,
    )
    async def healthz() -> Response:
        return _state("ok")

    @app.get(
        "/readyz",
        summary="Does the server take requests?",
        response_description="The answer.",
        response_model=answers.State,
        responses={503: {"model": answers.State}},
    )
    async def readyz(request: Request) -> Response:
        service: Service = request.app.state.service
        if ending():
            return _state("about to end", 503)
        full = service.batcher.waiting >= service.limits.queue
        return _state("full", 503) if full else _state("ok")

    @app.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics(request: Request) -> Response:
        return Response(request.app.state.service.metrics.text(), media_type="text/plain; version=0.0.4")


def _add_pages(app: FastAPI) -> None:
    pages = page_files("page")
    page = answering(pages)
    for path in (*pages, "/docs"):
        app.add_route(path, page, include_in_schema=False)
    described = app.openapi()  # kept by FastAPI until there is a further route
    described["components"]["schemas"]["Problem"] = answers.Problem.model_json_schema()
    docs = Environment(loader=PackageLoader("tagfit.serve", "page"), autoescape=True, trim_blocks=True)
    pages["/docs"] = (docs.get_template("docs.html.jinja").render(openapi=described).encode(), "text/html")


def _add_explain(app: FastAPI) -> None:
    png = {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}

    @app.post(
        "/v1/explain",
        summary="Show which part of an image speaks for a label",
        response_description="A PNG in the size of what the network sees, to lay over the image.",
        response_class=Response,
        responses={**answers.problems(408, 413, 415, 422, 429, 503), 200: png},
        openapi_extra={"requestBody": answers.IMAGE_BODY},
    )
    async def explain(request: Request, label: str) -> Response:
        service: Service = request.app.state.service
        with service.bodies.room(request) as room:
            try:
                async with asyncio.timeout(2 * service.limits.seconds):
                    found = await service.explanation(await service.brought(request, room), label)
            except TimeoutError:
                raise ProblemError(503, "The request took too long.") from None
        return Response(found, media_type="image/png")


def _state(state: str, status: int = 200) -> Response:
    return answers.answer(answers.State(state=state), status)


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, RequestValidationError):
        error = ProblemError(422, "A parameter is missing or is not what was expected.")
    return problem_of(error).response()


class _Counted:
    """Counts, times and, if there is no room, refuses requests; logs what nobody foresaw."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._paths = {getattr(route, "path", "") for route in app.routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def counting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        service: Service = self._app.state.service
        try:
            if scope["path"] == PREDICT and scope["method"] == "POST":
                service.batcher.demand_room(1)  # here, where a refusal costs least
            await self._app(scope, receive, counting)
        except ProblemError as problem:
            await problem.response()(scope, receive, counting)
        except Exception:
            log.exception("a request failed")  # `_refuse` has answered it
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            metrics = service.metrics
            metrics.requests.labels(path, str(status)).inc()
            metrics.seconds.labels(path).observe(time.perf_counter() - begun)
