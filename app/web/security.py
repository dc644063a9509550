"""What stands between the network and the pages: host, address and origin rules, body cap, security headers. Pure ASGI.

Nothing here reads or holds back a body, so streamed answers pass through as they are made.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.identifiers import create_id
from app.settings import Settings
from app.web.errors import NotFound, Problem, answer_problem
from app.web.pages import STATIC_PREFIX, VERSIONED_PATH

MAX_BODY_BYTES = 64 * 1024
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_PERMISSIONS_POLICY = ", ".join(
    [
        *(f"{feature}=()" for feature in ("camera", "microphone", "geolocation", "payment", "usb")),
        *(f"publickey-credentials-{verb}=(self)" for verb in ("get", "create")),
    ]
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "same-origin",  # no-referrer would make browsers send "Origin: null" with our own forms
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": _PERMISSIONS_POLICY,
}
_TRANSPORT_SECURITY = "max-age=63072000; includeSubDomains"
_FOREVER = "public, max-age=31536000, immutable"


def install_middlewares(app: FastAPI, *, settings: Settings) -> None:
    """Add all of them in the right order: the last one added is the first to see a request."""
    app.add_middleware(BodyCap)
    app.add_middleware(SameOrigin, public_url=settings.public_url)
    app.add_middleware(PlainAddress)
    app.add_middleware(TrustedHost, public_url=settings.public_url)
    app.add_middleware(SecurityHeaders, uses_https=settings.uses_https)


class SecurityHeaders:
    """Gives each request its id and each answer its headers; finds static files under their version."""

    def __init__(self, app: ASGIApp, *, uses_https: bool) -> None:
        self.app = app
        self._headers = dict(_HEADERS)
        if uses_https:
            self._headers["Strict-Transport-Security"] = _TRANSPORT_SECURITY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = create_id("req")
        scope.setdefault("state", {})["request_id"] = request_id
        scope, caching = _find_static(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                headers.update(self._headers)
                headers["X-Request-Id"] = request_id
                headers["Cache-Control"] = caching if message["status"] in (200, 206, 304) else "no-store"
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _find_static(scope: Scope) -> tuple[Scope, str]:
    """Return the scope with the version taken out of a static file's path, and how its answer may be cached."""
    path: str = scope["path"]
    if not path.startswith(f"{STATIC_PREFIX}/"):
        return scope, "no-store"
    found = VERSIONED_PATH.fullmatch(path)
    if found is None:
        return scope, "no-cache"
    plain = STATIC_PREFIX + found[2]
    caching = _FOREVER if found[1] == scope["app"].state.pages.static_version else "no-cache"
    return {**scope, "path": plain, "raw_path": plain.encode()}, caching


class TrustedHost:
    """Answers only to its own name: another site that points its name here (DNS rebinding) gets nothing.

    Health probes and metrics readers come by the container's address, carry no cookie and learn nothing of users.
    """

    def __init__(self, app: ASGIApp, *, public_url: str) -> None:
        self.app = app
        self._names = {urlsplit(public_url).hostname, *_LOOPBACK}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_probe(scope) or self._is_known(Headers(scope=scope).getlist("host")):
            await self.app(scope, receive, send)
            return
        problem = Problem(
            "unknown_host",
            status=400,
            title="Keydeck does not answer under this name",
            who_acts="operator",
            next_step="Open it by the address set as KEYDECK_PUBLIC_URL.",
        )
        await answer_problem(Request(scope), problem)(scope, receive, send)

    def _is_known(self, hosts: list[str]) -> bool:
        return len(hosts) == 1 and _read_host(hosts[0]) in self._names


def _read_host(host: str) -> str | None:
    try:
        parts = urlsplit(f"//{host}")
        is_plain = parts.netloc == host and "@" not in host and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts.hostname if is_plain else None


def _is_probe(scope: Scope) -> bool:
    path = scope["path"]
    return path in ("/livez", "/readyz") or (path == "/metrics" and "authorization" in Headers(scope=scope))


class PlainAddress:
    """Refuses addresses with a NUL character: no id holds one, and PostgreSQL fails on it where SQLite finds nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._holds_nul(scope):
            await self.app(scope, receive, send)
            return
        await answer_problem(Request(scope), NotFound())(scope, receive, send)

    def _holds_nul(self, scope: Scope) -> bool:
        query: bytes = scope["query_string"]
        return "\0" in scope["path"] or b"%00" in query or b"\0" in query


class SameOrigin:
    """Refuses changes that another site's page asks for in a signed-in person's name.

    A browser's Sec-Fetch-Site decides, else the Origin; with neither, a request with a cookie is refused and one
    without (a program) passes. A bearer token sent without cookies is no browser's doing and is exempt.
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
        """Tell whether an unsafe request comes from our own pages, or from a program."""
        headers = Headers(scope=scope)
        has_cookie = "cookie" in headers
        if not has_cookie and headers.get("authorization", "").lower().startswith("bearer "):
            return True
        if sites := headers.getlist("sec-fetch-site"):
            return sites == ["same-origin"]
        if origins := headers.getlist("origin"):
            own = {self._origin, read_origin(f"{scope['scheme']}://{headers.get('host', '')}")}
            return len(origins) == 1 and (origin := read_origin(origins[0])) is not None and origin in own
        return not has_cookie


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


class BodyTooLarge(HTTPException):
    """Raised into whoever reads the body, so that reading stops; the answer is BodyCap's own."""

    def __init__(self) -> None:
        super().__init__(413)


class BodyCap:
    """Refuses bodies over 64 KiB, told by Content-Length or counted while they are read (chunked bodies)."""

    def __init__(self, app: ASGIApp, *, max_bytes: int = MAX_BODY_BYTES) -> None:
        self.app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self._is_told_too_large(Headers(scope=scope).getlist("content-length")):
            await _answer_too_large(scope, receive, send)
            return
        watch = _BodyWatch(receive, send, max_bytes=self._max_bytes)
        try:
            await self.app(scope, watch.receive, watch.send)
        except BodyTooLarge:
            if watch.has_begun:
                raise
        if watch.is_exceeded and not watch.has_begun:
            await _answer_too_large(scope, receive, send)

    def _is_told_too_large(self, lengths: Iterable[str]) -> bool:
        return any(length.isdecimal() and int(length[:20]) > self._max_bytes for length in lengths)


class _BodyWatch:
    """Counts what is read of one request; once it is too much, the app's own answer is dropped."""

    def __init__(self, receive: Receive, send: Send, *, max_bytes: int) -> None:
        self._receive = receive
        self._send = send
        self._left_bytes = max_bytes
        self.has_begun = False

    @property
    def is_exceeded(self) -> bool:
        return self._left_bytes < 0

    async def receive(self) -> Message:
        if self.is_exceeded:
            raise BodyTooLarge
        message = await self._receive()
        self._left_bytes -= len(message.get("body", b""))
        if self.is_exceeded:
            raise BodyTooLarge
        return message

    async def send(self, message: Message) -> None:
        if self.is_exceeded and not self.has_begun:
            return
        self.has_begun = True
        await self._send(message)


async def _answer_too_large(scope: Scope, receive: Receive, send: Send) -> None:
    problem = Problem(
        "body_too_large",
        status=413,
        title="That is too much to send at once",
        detail=f"A request may hold at most {MAX_BODY_BYTES // 1024} KiB.",
        next_step="Send less; a key and its secret are far smaller.",
    )
    response = answer_problem(Request(scope), problem)
    response.headers["Connection"] = "close"
    await response(scope, receive, send)
