"""No request may hold more than 64 KiB, whether it says so or not."""

from collections.abc import Iterable

from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.errors import Problem, answer_problem

MAX_BODY_BYTES = 64 * 1024


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
