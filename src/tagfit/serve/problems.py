"""Everything that is refused, as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.responses import Response


class ProblemError(HTTPException):
    """A request is refused.

    Args:
        status: the status code.
        detail: what was expected, what came, what to do.
        faults: if there are several, each by itself.
        headers: further headers of the answer.
    """

    def __init__(
        self, status: int, detail: str, faults: Sequence[str] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, headers)
        self.faults = list(faults)

    def response(self) -> Response:
        """The answer. It is JSON whatever a request asked for, so that nothing in it is ever taken for HTML."""
        problem = {"title": HTTPStatus(self.status_code).phrase, "status": self.status_code, "detail": self.detail}
        body = json.dumps(problem | ({"faults": self.faults} if self.faults else {}))
        return Response(body, self.status_code, self.headers, media_type="application/problem+json")


def problem_of(error: Exception) -> ProblemError:
    """What a request is answered that failed, whatever it was that failed."""
    match error:
        case ProblemError():
            return error
        case HTTPException():
            return ProblemError(error.status_code, HTTPStatus(error.status_code).phrase, headers=error.headers)
        case _:
            return ProblemError(500, "Something went wrong on the server. Its log says what.")


def busy(seconds: float) -> ProblemError:
    """Too much waits already; there may be room in so many seconds."""
    wait = max(1, round(seconds))
    detail = f"Too many requests are waiting. Try again in {wait} s."
    return ProblemError(429, detail, headers={"retry-after": str(wait)})
