"""Which methods an address answers to: a router knows only those of one route, while an address may have several."""

from fastapi import Request
from fastapi.routing import APIRoute, iter_route_contexts


def list_methods(request: Request) -> str:
    """Return the value of the Allow header: every method of every route that this address belongs to."""
    path = request.url.path
    found: set[str] = set()
    for context in iter_route_contexts(request.app.routes):
        route = getattr(context, "original_route", context)
        if isinstance(route, APIRoute) and route.path_regex.match(path):
            found |= route.methods or set()
    return ", ".join(sorted(found))
