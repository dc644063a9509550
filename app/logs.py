"""Logging, configured once: structlog and the standard library write the same lines, one event a line, in UTC.

What reaches a line has been through `app.redaction`. An exception is written as its type and frames, never as its
text or its locals, unless its type is named as safe. Uvicorn's access log is replaced by `RequestLog`, because it
writes the query.
"""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO

import structlog

from app.redaction import describe_error, redact_fields, redact_text, redact_value

QUIET_LOGGERS = (
    "httpx",
    "httpcore",
    "aiohttp",
    "aiosqlite",
    "sqlalchemy",
    "psycopg",
    "urllib3",
    "asyncio",
    "multipart",
    "python_multipart",
    "alembic",
    "dbos",
)
_SILENCED = ("uvicorn.access", "apprise", "urllib3.connectionpool")  # the last two may name addresses that are secrets
_UNSAFE_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_FRAME_CAP = 40

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class LogSettings(Protocol):
    """The part of the settings that logging needs."""

    @property
    def log_level(self) -> str: ...
    @property
    def log_format(self) -> str: ...


def configure_logging(
    settings: LogSettings, *, stream: TextIO, safe_errors: tuple[type[BaseException], ...] = ()
) -> logging.Handler:
    """Send every logger's lines to the stream, and return the one handler that writes them.

    `safe_errors` are exception types whose text is known to hold no secret: only their text is written.
    """
    handler = _Handler(stream)
    handler.setFormatter(LineFormatter(as_json=settings.log_format == "json", safe_errors=safe_errors))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    quiet = max(logging.WARNING, root.level)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(quiet)
    for name in [name for name in logging.root.manager.loggerDict if name.split(".")[0] in (*QUIET_LOGGERS, "uvicorn")]:
        child = logging.getLogger(name)
        child.handlers[:] = []
        child.propagate = True
        if child.level and name.split(".")[0] in QUIET_LOGGERS:
            child.setLevel(max(child.level, quiet))
    for name in _SILENCED:
        logging.getLogger(name).disabled = True
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.stdlib.filter_by_level, _hand_over],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    return handler


def _hand_over(_logger: object, _method: str, event: MutableMapping[str, Any]) -> tuple[tuple[str], dict[str, Any]]:
    """Hand a structlog event to the standard library: the handler's formatter writes it like any other record."""
    options = {name: event.pop(name) for name in ("exc_info", "stack_info") if name in event}
    positional = event.pop("positional_args", ())
    text = str(event.pop("event", ""))
    fields = {**event, **({"args": positional} if positional else {})}
    return (text,), {"extra": {"keydeck_fields": fields}, **options}


class _Handler(logging.StreamHandler[TextIO]):
    """A stream handler whose own failure never prints the record: the standard one writes its arguments to stderr."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the standard library's name
        line = f"a log record could not be written: {record.name} {record.levelname} {record.module}:{record.lineno}\n"
        if sys.stderr is not None:
            sys.stderr.write(line)


class LineFormatter(logging.Formatter):
    """One record, one line: time, level, event, logger, then the event's fields; secrets taken out."""

    def __init__(self, *, as_json: bool, safe_errors: tuple[type[BaseException], ...] = ()) -> None:
        super().__init__()
        self._as_json = as_json
        self._safe_errors = safe_errors

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = {"at": at, "level": record.levelname.lower(), "event": redact_text(_message(record)), "logger": record.name}
        fields: Mapping[str, object] = getattr(record, "keydeck_fields", {})
        line = {**redact_fields(fields), **event, **self._describe_failure(record)}
        ordered = {**{name: line[name] for name in event}, **line}
        return _escape(json.dumps(ordered, ensure_ascii=False) if self._as_json else _as_text(ordered))

    def _describe_failure(self, record: logging.LogRecord) -> dict[str, Any]:
        found: dict[str, Any] = {}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            found["error"] = describe_error(error)
            if isinstance(error, self._safe_errors):
                found["error_text"] = redact_text(str(error))
            found["frames"] = list_frames(error)
            if cause := _list_causes(error):
                found["caused_by"] = cause
        if record.stack_info:
            found["stack"] = [line.strip() for line in record.stack_info.splitlines() if line.lstrip().startswith("File ")]
        return found


def list_frames(error: BaseException) -> list[str]:
    """Return where an exception came from, outermost first: file, line and function; no source text, no locals."""
    frames = traceback.extract_tb(error.__traceback__)
    shown = [f"{frame.filename.split('site-packages/')[-1]}:{frame.lineno} {frame.name}" for frame in frames]
    return shown[-_FRAME_CAP:]


def _list_causes(error: BaseException) -> list[str]:
    """Return the types of the chain of causes, nearest first, ending where one was hidden by `from None`."""
    found: list[str] = []
    seen = {id(error)}
    current: BaseException | None = error
    while current is not None and len(found) < 10:
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        if current is None or id(current) in seen:
            break
        seen.add(id(current))
        found.append(describe_error(current))
    return found


def _message(record: logging.LogRecord) -> str:
    """Return the record's text; an exception among its arguments is named by type, an argument with structure is masked."""
    if not record.args:
        return str(record.msg) if isinstance(record.msg, str) else str(redact_value(record.msg))
    shown: Any
    if isinstance(record.args, Mapping):
        shown = {name: _argument(value) for name, value in record.args.items()}
    else:
        shown = tuple(_argument(value) for value in record.args)
    text: str = str(record.msg) % shown
    return text


def _argument(value: object) -> object:
    """Keep numbers as they are (for %d), and make every other argument fit for a log line."""
    return value if isinstance(value, bool | int | float) else redact_value(value)


def _as_text(line: Mapping[str, Any]) -> str:
    head = f"{line['at']} {str(line['level']).upper():<8} {line['event']}"
    rest = " ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in list(line.items())[3:]
    )
    return f"{head}  {rest}" if rest else head


def _escape(line: str) -> str:
    """Write control, invisible and direction-changing characters as \\uXXXX: one event stays one honest line."""
    return _UNSAFE_CHARACTERS.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


@dataclass(frozen=True, slots=True)
class FinishedRequest:
    """A request that was answered: `route` is its template, None where none matched."""

    method: str
    route: str | None
    path: str
    status: int
    duration_seconds: float


class RequestLog:
    """Pure ASGI middleware, outermost but for errors: one line per request, and one call of `on_finish` for metrics.

    Written are method, route template (or path), status, duration and request id: no query, body, cookie or header.
    """

    def __init__(
        self,
        app: AsgiApp,
        *,
        on_finish: Callable[[FinishedRequest], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._on_finish = on_finish
        self._monotonic = monotonic
        self._log = logging.getLogger("app.requests")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._monotonic()
        status = 500

        async def watch(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            self._finish(scope, status=status, duration_seconds=self._monotonic() - started)

    def _finish(self, scope: Scope, *, status: int, duration_seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None)
        path = str(scope.get("path", ""))[:200]
        finished = FinishedRequest(str(scope["method"]), route, path, status, duration_seconds)
        if self._on_finish is not None:
            self._on_finish(finished)
        level = logging.ERROR if status >= 500 else logging.DEBUG if _is_routine(path) else logging.INFO
        fields = {
            "method": finished.method,
            "route": route or path,
            "status": status,
            "duration_ms": round(duration_seconds * 1000),
            "request_id": scope.get("state", {}).get("request_id"),
        }
        self._log.log(level, "request", extra={"keydeck_fields": fields})


def _is_routine(path: str) -> bool:
    """Tell whether a request is asked for all the time by machines and would drown the rest at INFO."""
    return path in ("/livez", "/readyz", "/metrics") or path.startswith("/static/")
