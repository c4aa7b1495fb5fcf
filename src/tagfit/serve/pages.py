"""The files of a page, as a server answers with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

#: what is at a path, and its media type
PageFiles = dict[str, tuple[bytes, str]]

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

#: what every page has
_BASE = ("base.css", "base.js", "icon.svg")


def page_files(folder: str) -> PageFiles:
    """The files of the page in a folder of this package, by the path that each is asked for at."""
    here = files(__package__)
    found: PageFiles = {}
    for place, names in ((folder, ("index.html", "page.css", "page.js")), ("page_base", _BASE)):
        for name in names:
            kind = _TYPES[name.rpartition(".")[2]]
            found["/" if name == "index.html" else f"/{name}"] = (here.joinpath(place, name).read_bytes(), kind)
    return found


def answering(pages: PageFiles) -> Callable[[Request], Awaitable[Response]]:
    """What answers a request for one of the files."""

    async def page(request: Request) -> Response:
        content, kind = pages[request.url.path]
        return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

    return page
