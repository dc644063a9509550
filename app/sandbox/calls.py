"""What arrives at a simulated exchange, byte for byte, and the routes it is compared with."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from starlette.requests import Request

from app.exchanges.types import Permission

if TYPE_CHECKING:
    from app.sandbox.accounts import Customer, SimulatedKey

BODY_CAP = 1024 * 1024
Json = Any  # whatever json.loads gives; handlers narrow it


class BodyTooLarge(Exception):
    """A body above BODY_CAP bytes."""


@dataclass(frozen=True, slots=True)
class ReceivedCall:
    """One request as the exchange's front end sees it: path and query still encoded, the mount's prefix taken off."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    host: str
    client_ip: str
    received_at: datetime

    def list_parameters(self) -> list[tuple[str, str]]:
        """Return the decoded query parameters in the order they came."""
        return parse_qsl(self.query, keep_blank_values=True)


async def read_call(request: Request, *, now: datetime) -> ReceivedCall:
    """Read a whole request. Raises BodyTooLarge."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_CAP:
            raise BodyTooLarge
    scope = request.scope
    raw_path = (scope.get("raw_path") or scope["path"].encode()).decode("ascii", "replace")
    return ReceivedCall(
        method=request.method,
        path=raw_path.removeprefix(scope.get("root_path", "")) or "/",
        query=scope["query_string"].decode("ascii", "replace"),
        headers=request.headers,
        body=bytes(body),
        host=request.headers.get("host", "").lower(),
        client_ip=request.client.host if request.client else "127.0.0.1",
        received_at=now,
    )


@dataclass(slots=True)
class Visit:
    """A call on its way through an exchange: what was matched, decoded and identified so far."""

    call: ReceivedCall
    path: Mapping[str, str]
    entered: dict[str, Json] = field(default_factory=dict)
    key: "SimulatedKey | None" = None

    @property
    def query(self) -> dict[str, str]:
        return dict(self.call.list_parameters())

    @property
    def now(self) -> datetime:
        return self.call.received_at

    @property
    def customer(self) -> "Customer":
        """Return whose key it is. Raises LookupError on a public call."""
        if self.key is None:
            raise LookupError("a public call has no customer")
        return self.key.customer

    def has_switch(self, name: str) -> bool:
        """Whether the key's account answers in one of its other known forms."""
        return self.key is not None and name in self.key.switches


Handler = Callable[[Visit], Json]


@dataclass(frozen=True)
class Route:
    """One call an exchange answers. `alarm` says when it is money leaving: "always", or only with "content"."""

    method: str
    template: str
    handler: Handler
    needs: Permission | None = None
    is_public: bool = False
    alarm: str = ""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.template))

    def match(self, path: str) -> dict[str, str] | None:
        """Return the decoded placeholders when the path is this route's; None otherwise."""
        found = self._pattern.fullmatch(path)
        return {name: unquote(value) for name, value in found.groupdict().items()} if found else None

    def is_alarming(self, call: ReceivedCall) -> bool:
        """Whether this call would move money if the exchange were real."""
        return self.alarm == "always" or (self.alarm == "content" and call.body.strip() not in (b"", b"{}"))


def find_route(routes: tuple[Route, ...], call: ReceivedCall) -> tuple[Route, dict[str, str]] | None:
    """Return the first route for a call's method and path with its placeholders; None when there is none."""
    for route in routes:
        if route.method == call.method and (path := route.match(call.path)) is not None:
            return route, path
    return None
