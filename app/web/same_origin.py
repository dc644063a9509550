"""Changes are asked for by our own pages only: the rule that stands in for tokens in every form."""

from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.web.errors import Problem, answer_problem

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_API_PREFIX = "/api/"  # every unsafe route below it takes tokens only, a browser's session opens none of them


class SameOrigin:
    """Refuses changes that another site's page asks for in a signed-in person's name.

    Sec-Fetch-Site and Origin must both name our own pages, as far as they are sent; a form that comes with neither is
    refused. The API takes such a request when it carries no cookie, and any with a bearer token and no cookie: no browser
    adds one for another site. Pages take no tokens, so one changes nothing there.
    """

    def __init__(self, app: ASGIApp, *, public_url: str) -> None:
        self.app = app
        self._origin = read_origin(public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _SAFE_METHODS or self.is_allowed(scope):
            await self.app(scope, receive, send)
            return
        problem = Problem(
            "cross_site",
            status=403,
            title="This request came from another site",
            detail="Changes are made from Keydeck's own pages only, or by API with a token and no cookie.",
            next_step="Open Keydeck by its own address and try again there.",
        )
        await answer_problem(Request(scope), problem)(scope, receive, send)

    def is_allowed(self, scope: Scope) -> bool:
        """Tell whether an unsafe request comes from our own pages, or is a program's call of the API."""
        headers = Headers(scope=scope)
        sites, origins = headers.getlist("sec-fetch-site"), headers.getlist("origin")
        if "cookie" not in headers and scope["path"].startswith(_API_PREFIX):
            is_by_token = headers.get("authorization", "").lower().startswith("bearer ")
            if is_by_token or not (sites or origins):
                return True
        if not (sites or origins):
            return False
        is_own_site = not sites or sites == ["same-origin"]
        is_own_origin = not origins or (len(origins) == 1 and self._is_own(read_origin(origins[0]), scope, headers))
        return is_own_site and is_own_origin

    def _is_own(self, origin: tuple[str, str, int] | None, scope: Scope, headers: Headers) -> bool:
        """Under https exactly the address that is set; on loopback also the name and port this request was sent to."""
        if origin is None or origin == self._origin:
            return origin is not None
        is_plain = self._origin is not None and self._origin[0] == "http"
        return is_plain and origin == read_origin(f"{scope['scheme']}://{headers.get('host', '')}")


def read_origin(url: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port of an http or https origin, None for anything else (`null`, an opaque origin)."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or parts.path not in ("", "/"):
        return None
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80)
