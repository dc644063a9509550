"""The routes of the app, enumerated from the app object itself, so that no list needs upkeep."""

import re
from collections.abc import Iterator
from typing import Any

from fastapi.routing import APIRoute, iter_route_contexts

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def list_routes(app: Any) -> Iterator[APIRoute]:
    """Return every route of ours, whatever router it came by."""
    for context in iter_route_contexts(app.routes):
        route = getattr(context, "original_route", context)
        if isinstance(route, APIRoute):
            yield route


def list_unsafe(app: Any) -> list[tuple[str, str]]:
    """Return method and address of everything that may change something, with made-up ids in the address."""
    return sorted({(method, fill(route.path)) for route in list_routes(app) for method in route.methods - SAFE})


def list_readable(app: Any) -> list[str]:
    return sorted({fill(route.path) for route in list_routes(app) if "GET" in route.methods})


def fill(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "made_up_0", path)
