"""Lists every field that can come out: of the JSON API's models, and of the values pages are drawn from for staff."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel

from tests.authorization.matrix import Table

FILE = Path(__file__).parent / "fields.txt"
ROLES = {
    "trader": ("owner", "t:status", "t:balances", "t:manage"),
    "support": ("support", "t:support"),
    "operator": ("operator",),
}
STAFF = ("support", "operator")
FACTS = frozenset({"Exchange", "ExchangeFacts", "Settings"})  # the same for everybody, and nobody's own
PLAIN = (str, int, float, bool, bytes, type(None))
HEAD = """\
# Everything that can come out, and to whom: people review this file. A new field fails tests/authorization/test_fields.py
# until it stands here. JSON: a model's field and the roles whose requests are answered with it. PAGE: what a page for support or
# operators is drawn from, so what it could show at most. After a change:
# KEYDECK_WRITE_TABLES=1 .venv/bin/pytest tests/authorization/test_fields.py -q --database sqlite, then read the difference.
"""
Lines = dict[str, set[str]]


def list_json_fields(app: Any, table: Table) -> Lines:
    """Return `JSON Model.field` with the roles that any call answers with it."""
    found: Lines = {}
    for context in iter_route_contexts(app.routes):
        route = getattr(context, "original_route", context)
        if isinstance(route, APIRoute) and route.response_model is not None:
            roles = {
                role
                for role, principals in ROLES.items()
                for method in route.methods or ()
                for principal in principals
                if table[method, route.path][principal] == "ok"
            }
            for model in find_models(route.response_model, set()):
                for name in model.model_fields:
                    found.setdefault(f"JSON {model.__name__}.{name}", set()).update(roles)
    return found


def find_models(annotation: Any, seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in seen:
        seen.add(annotation)
        yield annotation
        for field in annotation.model_fields.values():
            yield from find_models(field.annotation, seen)
    for part in get_args(annotation):
        yield from find_models(part, seen)


def list_page_fields(template: str, context: Mapping[str, Any]) -> set[str]:
    """Return `PAGE template name` and `PAGE template Type.field` of everything the template could reach."""
    found: set[str] = set()
    for name, value in context.items():
        reached = set(_walk(value, set()))
        found |= {f"PAGE {template} {one}" for one in reached or {name}}
    return found


def _walk(value: Any, seen: set[int]) -> Iterator[str]:
    if isinstance(value, PLAIN) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Mapping):
        for pair in value.items():
            yield from _walk(list(pair), seen)
    elif isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from _walk(part, seen)
    elif type(value).__name__ in FACTS:
        yield f"{type(value).__name__} (facts)"
    elif is_dataclass(value):
        for field in fields(value):
            yield f"{type(value).__name__}.{field.name}"
            yield from _walk(getattr(value, field.name), seen)
    elif type(value).__module__.startswith("app."):
        yield type(value).__name__


def write_fields(lines: Lines) -> str:
    widest = max(len(line) for line in lines)
    rows = [
        f"{line:<{widest}} {' '.join(role for role in ROLES if role in roles)}".rstrip() for line, roles in sorted(lines.items())
    ]
    return HEAD + "\n".join(rows) + "\n"


def read_fields(text: str) -> Lines:
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return {" ".join(word for word in words if word not in ROLES): {word for word in words if word in ROLES} for words in lines}
