"""Everything that is refused, as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from starlette.responses import Response


class ProblemError(Exception):
    """A request is refused.

    Args:
        status: the status code.
        detail: what was expected, what came, what to do.
        faults: where there are several, each by itself.
        headers: further headers of the answer.
    """

    def __init__(
        self, status: int, detail: str, faults: Sequence[str] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        self.status, self.detail, self.faults, self.headers = status, detail, tuple(faults), dict(headers or {})
        super().__init__(detail)

    def response(self) -> Response:
        """The answer. It is JSON whatever a request asked for, so that nothing in it is ever taken for HTML."""
        problem = {"title": HTTPStatus(self.status).phrase, "status": self.status, "detail": self.detail}
        if self.faults:
            problem["faults"] = list(self.faults)
        body = json.dumps(problem).encode()
        return Response(body, self.status, self.headers, media_type="application/problem+json")


def busy(seconds: float) -> ProblemError:
    """Too much waits already.

    Args:
        seconds: until there may be room.
    """
    wait = max(1, round(seconds))
    return ProblemError(
        429, f"Too much waits to be answered. Try again in {wait} s.", headers={"retry-after": str(wait)}
    )
