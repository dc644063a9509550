"""One problem type for pages and API: what is wrong, who must act, what to do next. Never echoes input."""

import logging
import re
import traceback
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.allowed_methods import list_methods

_LOG = logging.getLogger("keydeck.web")


class Problem(Exception):
    """An answer that is not what the person asked for. `code` is stable, the rest is written for people."""

    def __init__(
        self,
        code: str,
        *,
        status: int,
        title: str,
        detail: str = "",
        who_acts: str = "trader",
        next_step: str = "",
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.title = title
        self.detail = detail
        self.who_acts = who_acts
        self.next_step = next_step
        self.extra = dict(extra or {})


class NotFound(Problem):
    """The same answer for an id that never existed and for another user's."""

    def __init__(self, what: str = "page") -> None:
        super().__init__(
            "not_found",
            status=404,
            title=f"There is no such {what}",
            detail="It was removed, or it never existed.",
            next_step="Go back to the list.",
        )


class SignInNeeded(Problem):
    """No valid session or token. Pages answer with a redirect to the sign-in page, the API with 401."""

    def __init__(self) -> None:
        super().__init__("sign_in_needed", status=401, title="Sign in first", next_step="Sign in, or send a valid API token.")


class Forbidden(Problem):
    """Signed in, but the role or the token's scope does not allow this."""

    def __init__(self, needed: str) -> None:
        super().__init__(
            "forbidden",
            status=403,
            title="You may not open this",
            detail=f"It needs {needed}.",
            who_acts="operator",
            next_step="Ask your operator if you should have it.",
        )


class AnswerInterrupted(Exception):
    """An answer that had begun could not be finished; the connection is closed. It carries no cause: that was logged."""


_STATUS_WORDS = {
    400: ("invalid_input", "This request cannot be read", "Check what was sent."),
    401: ("sign_in_needed", "Sign in first", "Sign in, or send a valid API token."),
    403: ("forbidden", "You may not open this", "Ask your operator if you should have it."),
    404: ("not_found", "There is no such page", "Go back to the list."),
    405: ("method_not_allowed", "That cannot be done here", "Use the page's own buttons, or see /openapi.json."),
    413: ("body_too_large", "That is too much to send at once", "Send at most 64 KiB."),
    415: ("unsupported_media_type", "This kind of content is not read here", "See /openapi.json for what is."),
    429: ("rate_limited", "Too many requests", "Wait a minute, then try again."),
}
# Messages of these kinds name the rule and never the value; of any other kind only a plain sentence is shown.
# fmt: off
_PLAIN_KINDS = frozenset({
    "missing", "extra_forbidden", "enum", "literal_error", "value_error", "string_type", "string_too_short",
    "string_too_long", "bool_type", "bool_parsing", "int_type", "int_parsing", "greater_than", "greater_than_equal",
    "less_than", "less_than_equal", "list_type", "dict_type", "tuple_type", "model_attributes_type", "model_type",
    "json_invalid", "string_pattern_mismatch", "too_short", "too_long",
})
# fmt: on
_FRAMES_SHOWN = 20
_FIELD_NAME = re.compile(r"[a-z][a-z_]{0,31}")


def install_error_handlers(app: FastAPI) -> None:
    """Make every failure an answer a person or program can act on. Call before the other middlewares are added."""

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return answer_problem(request, error)

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        methods = list_methods(request) if error.status_code == 405 else ""
        headers = {**(error.headers or {}), **({"Allow": methods} if methods else {})}
        return answer_problem(request, _describe_status(error.status_code), headers=headers)

    async def on_invalid_input(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer_problem(request, describe_invalid_input(error, content_type=request.headers.get("content-type", "")))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid_input)
    app.add_middleware(LastResort)


def answer_problem(request: Request, problem: Problem, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return the problem as JSON for the API and as a page for people (sign-in first, where that is the problem)."""
    if wants_json(request):
        response: Response = JSONResponse(
            describe_problem(problem, request_id=_get_request_id(request)),
            status_code=problem.status,
            media_type="application/problem+json",
        )
    elif isinstance(problem, SignInNeeded):
        response = RedirectResponse(_locate_sign_in(request), status_code=303)
    else:
        response = _render_problem(request, problem)
    response.headers.update(headers or {})
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="keydeck"'
    if "retry_after_seconds" in problem.extra:
        response.headers["Retry-After"] = str(problem.extra["retry_after_seconds"])
    return response


def wants_json(request: Request) -> bool:
    """Tell whether the asker is a program: anything below /api, or one that says it reads problem documents."""
    return request.url.path.startswith("/api/") or "application/problem+json" in request.headers.get("accept", "")


def describe_problem(problem: Problem, *, request_id: str) -> dict[str, Any]:
    """Return the problem document (RFC 9457). The problem's extra members never replace its own."""
    return {
        **jsonable_encoder(problem.extra),
        "type": f"urn:keydeck:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "who_acts": problem.who_acts,
        "next_step": problem.next_step,
        "request_id": request_id,
    }


def describe_invalid_input(error: RequestValidationError, *, content_type: str = "application/json") -> Problem:
    """Return what is wrong with which field. Values, and names that may be values put in the wrong place, are left out."""
    if [found["loc"] for found in error.errors()] == [("body",)] and "json" not in content_type.lower():
        return Problem(
            "invalid_input",
            status=415,
            title="The request must be JSON",
            detail="Its content type says that it is something else.",
            next_step="Send JSON with the header Content-Type: application/json.",
        )
    errors = [
        {
            "loc": [part if isinstance(part, int) or _FIELD_NAME.fullmatch(part) else "…" for part in found["loc"]],
            "msg": found["msg"].removeprefix("Value error, ") if found["type"] in _PLAIN_KINDS else "Not a valid value",
        }
        for found in error.errors()
    ]
    first = errors[0] if errors else {"loc": [], "msg": "Not a valid value"}
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    return Problem(
        "invalid_input",
        status=422,
        title="Something in the request is not right",
        detail=f"{place}: {first['msg']}" if place else str(first["msg"]),
        next_step="Correct the fields named in errors and send it again.",
        extra={"errors": errors},
    )


class LastResort:
    """Innermost middleware: an error nobody expected becomes an answer with a request id, and one log line.

    The line holds the error's type and frames, never its text or locals: either may hold a secret.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def watch(message: Message) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:
            if scope["type"] != "http":
                raise
            request = Request(scope)
            _log_failure(error, request_id=_get_request_id(request))
            if has_begun:
                raise AnswerInterrupted from None
            await _answer_failure(request)(scope, receive, send)


def _answer_failure(request: Request) -> Response:
    request_id = _get_request_id(request)
    problem = Problem(
        "internal",
        status=500,
        title="The fault is on this server",
        detail="Not at an exchange, and not with your keys. Keys keep being checked.",
        who_acts="operator",
        next_step=f"Try again. If it stays, give the operator this number: {request_id}.",
    )
    return answer_problem(request, problem)


def _log_failure(error: Exception, *, request_id: str) -> None:
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_SHOWN:]
    places = " < ".join(f"{frame.filename.split('site-packages/')[-1]}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    _LOG.error("unhandled %s in request %s at %s", type(error).__name__, request_id, places)


def _render_problem(request: Request, problem: Problem) -> HTMLResponse:
    layout = "base.html" if getattr(request.state, "viewer", None) else "bare.html"
    try:
        answer: HTMLResponse = request.app.state.pages.render(
            request,
            "errors/problem.html",
            status_code=problem.status,
            layout=layout,
            problem=problem,
            request_id=_get_request_id(request),
        )
    except Exception as error:  # noqa: BLE001  # the page that tells of a failure must not fail itself
        _log_failure(error, request_id=_get_request_id(request))
        return HTMLResponse(
            f"<!DOCTYPE html><title>Keydeck</title><p>{problem.status}: the page could not be drawn.</p>", problem.status
        )
    return answer


def _describe_status(status: int) -> Problem:
    code, title, next_step = _STATUS_WORDS.get(status, ("invalid_input", "This request was refused", "Check what was sent."))
    return Problem(code, status=status, title=title, next_step=next_step)


def _locate_sign_in(request: Request) -> str:
    """Return where to sign in, and to come back from there where that can be done by following a link."""
    if request.method not in ("GET", "HEAD") or request.url.path == "/":
        return "/sign-in"
    asked = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
    return f"/sign-in?next={quote(asked, safe='/')}"


def _get_request_id(request: Request) -> str:
    return getattr(request.state, "request_id", "")
