"""No request goes further before its whole body is here: at most 64 KiB, within 20 seconds.

Who asks is judged behind this. A body that may still arrive hours later would let a session act after it has ended.
"""

import asyncio
from collections.abc import Iterable

from fastapi import Request
from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.errors import Problem, answer_problem

MAX_BODY_BYTES = 64 * 1024
BODY_SECONDS = 20.0


class BodyTooLarge(Exception):
    """More than the cap came; the rest is not read."""


class ClientGone(Exception):
    """The client left before its body was complete: there is nobody to answer."""


class BodyCap:
    """Takes in the whole body, then calls the app: no part of the app ever waits for a client's bytes.

    Refuses bodies over `max_bytes`, told by Content-Length or counted as they come (chunked bodies), with 413, and those
    that are not complete after `seconds` on the event loop's clock, however steadily they drip, with 408.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int = MAX_BODY_BYTES, seconds: float = BODY_SECONDS) -> None:
        self.app = app
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            if self._is_told_too_large(Headers(scope=scope).getlist("content-length")):
                raise BodyTooLarge
            async with asyncio.timeout(self._seconds):
                body = await self._read(receive)
        except BodyTooLarge:
            await _refuse(_describe_too_large(self._max_bytes), scope, receive, send)
        except TimeoutError:
            await _refuse(_describe_too_slow(self._seconds), scope, receive, send)
        except ClientGone:
            await Response(status_code=408)(scope, receive, send)  # nobody reads it, but without it the log tells of a 500
        else:
            await self.app(scope, _replay(body, receive), send)

    def _is_told_too_large(self, lengths: Iterable[str]) -> bool:
        return any(length.isdecimal() and int(length[:20]) > self._max_bytes for length in lengths)

    async def _read(self, receive: Receive) -> bytes:
        """Return the body once its last byte is here. Raises BodyTooLarge or ClientGone."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                raise BodyTooLarge
            if not message.get("more_body", False):
                return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a receive that gives the body in one piece; what comes after it, such as the client's leaving, is live."""
    kept: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return kept.pop() if kept else await receive()

    return receive_again


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, and close the connection: what is left of the body must not be taken for the next request."""
    response = answer_problem(Request(scope), problem)
    response.headers["Connection"] = "close"
    await response(scope, receive, send)


def _describe_too_large(max_bytes: int) -> Problem:
    return Problem(
        "body_too_large",
        status=413,
        title="That is too much to send at once",
        detail=f"A request may hold at most {max_bytes // 1024} KiB.",
        next_step="Send less; a key and its secret are far smaller.",
    )


def _describe_too_slow(seconds: float) -> Problem:
    return Problem(
        "body_too_slow",
        status=408,
        title="This took too long to arrive",
        detail=f"What is sent must be here within {seconds:.0f} seconds. Nothing was done with it.",
        next_step="Send it again; if it stays, look at your connection.",
    )
