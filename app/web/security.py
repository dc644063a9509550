"""What stands between the network and the pages: host and address rules, security headers, and their order. Pure ASGI.

Bodies of requests are taken in whole before anything judges them; streamed answers pass through as they are made.
"""

from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.identifiers import create_id
from app.settings import Settings
from app.web.body_cap import BODY_SECONDS, BodyCap
from app.web.errors import NotFound, Problem, answer_problem
from app.web.pages import STATIC_PREFIX, VERSIONED_PATH
from app.web.policy_reports import REPORTS_PATH
from app.web.same_origin import SameOrigin

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; "
    f"require-trusted-types-for 'script'; trusted-types 'none'; report-uri {REPORTS_PATH}"
)
# fmt: off
_UNUSED_FEATURES = (
    "accelerometer", "autoplay", "browsing-topics", "camera", "display-capture", "encrypted-media", "fullscreen",
    "geolocation", "gyroscope", "hid", "idle-detection", "local-fonts", "magnetometer", "microphone", "midi", "otp-credentials",
    "payment", "picture-in-picture", "screen-wake-lock", "serial", "storage-access", "usb", "window-management",
    "xr-spatial-tracking",
)
# fmt: on
_PERMISSIONS_POLICY = ", ".join(
    [
        *(f"{feature}=()" for feature in _UNUSED_FEATURES),
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


def install_middlewares(app: FastAPI, *, settings: Settings, body_seconds: float = BODY_SECONDS) -> None:
    """Add all of them in the right order: the last one added is the first to see a request."""
    app.add_middleware(BodyCap, seconds=body_seconds)
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
