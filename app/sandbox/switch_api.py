"""The switches as JSON, for tests and scripts on this machine; development only, and never a way to anything real.

A browser's page from elsewhere gets nothing: only loopback callers, only loopback names, and changes only as JSON.
"""

from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Any

from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from app.sandbox.calls import BODY_CAP
from app.sandbox.exchange import json_answer
from app.sandbox.switches import Switchboard, SwitchError

_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
_CALLS_SHOWN = 1000
Answer = Callable[[Request], Awaitable[Response]]


class SwitchApi:
    """ASGI app with every switch under its own path. Mount it where only developers come."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        key = "/exchanges/{slug}/keys/{scenario}"
        self._router = Router(
            [
                Route("/", self._tell(self._show), methods=["GET"]),
                Route("/calls", self._tell(self._list_calls), methods=["GET"]),
                Route("/calls", self._tell(self._forget_calls), methods=["DELETE"]),
                Route("/alarms", self._tell(self._list_alarms), methods=["GET"]),
                Route("/reset", self._tell(self._reset), methods=["POST"]),
                Route("/exchanges/{slug}", self._tell(self._change_exchange), methods=["PATCH"]),
                Route(key, self._tell(self._change_key), methods=["PATCH"]),
                Route(key + "/balances/{account}/{asset}", self._tell(self._set_balance), methods=["PUT"]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_local(Request(scope)):
            await json_answer({"error": "the sandbox's switches are for this machine only"}, status=403)(scope, receive, send)
            return
        await self._router(scope, receive, send)

    def _tell(self, act: Callable[[Request], Awaitable[Any]]) -> Answer:
        """Return a handler that answers with JSON, and with a reason where a value or a name is not taken."""

        async def handle(request: Request) -> Response:
            try:
                return json_answer(await act(request))
            except SwitchError as error:
                return json_answer({"error": str(error)}, status=422)
            except KeyError:
                return json_answer({"error": "there is no such exchange, key or account"}, status=404)

        return handle

    async def _show(self, request: Request) -> Any:
        return self._board.describe()

    async def _list_calls(self, request: Request) -> Any:
        query = request.query_params
        return self._board.list_calls(exchange=query.get("exchange", ""), scenario=query.get("scenario", ""), limit=_CALLS_SHOWN)

    async def _forget_calls(self, request: Request) -> Any:
        self._board.sandbox.forget_calls()
        return {"calls": 0}

    async def _list_alarms(self, request: Request) -> Any:
        alarms = self._board.sandbox.alarms
        return [{"exchange": one.exchange, "scenario": one.scenario, "method": one.method, "path": one.path} for one in alarms]

    async def _reset(self, request: Request) -> Any:
        await _read_values(request)
        self._board.reset()
        return self._board.describe()

    async def _change_exchange(self, request: Request) -> Any:
        slug = request.path_params["slug"]
        self._board.change_exchange(slug, await _read_values(request))
        return self._board.describe_exchange(slug)

    async def _change_key(self, request: Request) -> Any:
        slug, scenario = request.path_params["slug"], request.path_params["scenario"]
        self._board.change_key(slug, scenario, await _read_values(request))
        return next(key for key in self._board.describe_exchange(slug)["keys"] if key["scenario"] == scenario)

    async def _set_balance(self, request: Request) -> Any:
        place = request.path_params
        values = await _read_values(request)
        unknown = sorted(values.keys() - {"available", "held"})
        if unknown:
            raise SwitchError(f"there is no {unknown[0]}; there are available and held")
        self._board.set_balance(place["slug"], place["scenario"], account=place["account"], asset=place["asset"], values=values)
        return values


def is_local(request: Request) -> bool:
    """Tell whether a caller sits on this machine and speaks to it by its own name, with no proxy or other site between."""
    headers = request.headers
    if request.client is None or any(name in headers for name in _FORWARDED):
        return False
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    host = headers.get("host", "")
    name = host.rsplit(":", 1)[0] if host.rpartition(":")[2].isdecimal() else host
    try:
        return name in _NAMES and ip_address(request.client.host).is_loopback
    except ValueError:
        return False


async def _read_values(request: Request) -> Mapping[str, Any]:
    """Return a JSON object; an empty body is an empty one. Raises SwitchError."""
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise SwitchError("send application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_CAP:
            raise SwitchError("that is too much")
    try:
        values = from_json(bytes(body) or b"{}")  # its errors, unlike those of json, do not carry the text along
    except ValueError:
        raise SwitchError("the body is not JSON") from None
    if not isinstance(values, dict):
        raise SwitchError("send a JSON object")
    return values
