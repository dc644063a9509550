"""Spoils real-shaped replies in every way an exchange, a proxy or a bug could: seeded, so that each can be made again."""

import copy
import json
import random
from collections.abc import Mapping
from typing import Any

RAW = {  # texts that json.dumps would not write
    "@@nan": "NaN",
    "@@inf": "-Infinity",
    "@@huge": "1e400",
    "@@tiny": "1e-400",
    "@@digits": "9" * 5000,
    "@@long": "0." + "1" * 5000,
    "@@deep": "[" * 60 + "]" * 60,
    "@@half": '"\\ud800"',
}
VALUES: list[Any] = [
    *RAW,
    *(None, True, False, 0, -1, -0.5, 7, 2**70, -(2**70), 10**300, 1.5e300),
    *(
        "",
        " ",
        "-1",
        "-0",
        "1e999999",
        "NaN",
        "sNaN",
        "-Infinity",
        "0x10",
        "1_000",
        "1,5",
        "１２",
        "٣",
        "<script>",
        "null",
        "\x00",
        "\u202e",
        "😀",
    ),
    *("A" * 3000, "../..", "%2e%2e", "a/b?c#d", [], {}, [[]], [{}], [None], {"": None}, {"a": {"a": {"a": []}}}),
]
STATUSES = (200, 200, 200, 200, 201, 204, 206, 301, 302, 418, 451, 500, 502, 503, 520)


def list_places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    places = [path]
    if isinstance(value, dict):
        for name, inner in value.items():
            places += list_places(inner, (*path, name))
    if isinstance(value, list):
        for index, inner in enumerate(value[:20]):
            places += list_places(inner, (*path, index))
    return places


def spoil_place(body: Any, draw: random.Random) -> Any:
    """Return the body with one place replaced, dropped, renamed, doubled, wrapped or of another type."""
    path = draw.choice(list_places(body))
    if not path:
        # a copy: the next place may be spoilt inside it, and what one run does must not change another
        return draw.choice([[body], {"data": body}, copy.deepcopy(draw.choice(VALUES)), body])
    holder = body
    for step in path[:-1]:
        holder = holder[step]
    last = path[-1]
    value = holder[last]
    match draw.randrange(8):
        case 0 | 1 | 2:
            # a yes turned into a no is another answer, not a spoilt one
            values = [new for new in VALUES if not isinstance(new, bool)] if isinstance(value, bool) else VALUES
            holder[last] = copy.deepcopy(draw.choice(values))
        case 3:
            del holder[last]
        case 4 if isinstance(holder, dict):
            holder[draw.choice([last.upper(), last + " ", last[::-1], "", "ключ", f"@@again{last}"])] = value
        case 5 if isinstance(holder, list):
            holder.extend(copy.deepcopy(value) for _ in range(draw.randrange(1, 4)))
        case 6:
            holder[last] = draw.choice([[value], {"value": value}, [value, value]])
        case _:
            holder[last] = flip_type(value)
    return body


def flip_type(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        try:
            return -float(value)
        except ValueError:
            return len(value)
    return json.dumps(value)


def spoil_text(content: bytes, draw: random.Random) -> bytes:
    """Return the bytes cut, doubled, in another coding, or with strange bytes in between."""
    at = draw.randrange(len(content) + 1)
    return draw.choice(
        [
            lambda: content[:at],
            lambda: content + content,
            lambda: b"\xef\xbb\xbf" + content,
            lambda: content.decode("utf-8", "replace").encode("utf-16"),
            lambda: content[:at] + bytes(draw.randrange(256) for _ in range(3)) + content[at:],
            lambda: content[:at] + content[at + 1 :],
            lambda: b"<html>" + content,
            lambda: content.replace(b'"', b"'"),
            lambda: content[at:],
            lambda: b"",
        ]
    )()


def spoil(reply: Mapping[str, Any], draw: random.Random) -> tuple[int, bytes]:
    """Return (status, body) of a spoilt reply."""
    status = int(reply.get("status", 200))
    if status < 400 and draw.random() < 0.15:
        status = draw.choice(STATUSES)
    if "text" in reply:
        return status, spoil_text(reply["text"].encode(), draw)
    body = copy.deepcopy(reply["body"])
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        body = spoil_place(body, draw)
    text = json.dumps(body, ensure_ascii=draw.random() < 0.5).replace("@@again", "")
    for name, raw in RAW.items():
        text = text.replace(f'"{name}"', raw)
    content = text.encode("utf-8", "surrogatepass")
    return status, spoil_text(content, draw) if draw.random() < 0.2 else content
