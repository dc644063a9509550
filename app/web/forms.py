"""Reads submitted forms: small, without files, with one clear problem for everything else. Never echoes what was sent."""

from urllib.parse import parse_qsl

from fastapi import Request
from starlette.exceptions import HTTPException

from app.web.errors import Problem

MAX_FIELDS = 100
MAX_FIELD_BYTES = 64 * 1024
_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"


class Form(dict[str, str]):
    """A form's fields by name; of a name sent several times the last value, all of them by `list_values`."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def list_values(self, name: str) -> list[str]:
        """Return every value of the name, in the order of the page (check boxes that share a name)."""
        return [value for key, value in self._pairs if key == name]

    def __repr__(self) -> str:
        return f"Form({', '.join(sorted(self))})"  # values may be secrets


async def read_form(request: Request) -> Form:
    """Return the form's fields. Raises Problem: 415 for another kind of content, 400 for a broken body, 413 for a huge one."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == _URLENCODED:
        pairs = parse_urlencoded(await request.body())
    elif kind == _MULTIPART:
        pairs = await _read_multipart(request)
    elif not kind and not await request.body():
        pairs = []
    else:
        raise Problem(
            "unsupported_media_type",
            status=415,
            title="A form was expected",
            detail="This address reads submitted forms only.",
            next_step="Use the page's own form, or the JSON API below /api/v1.",
        )
    if any("\0" in name or "\0" in value for name, value in pairs):
        raise _broken("It holds a character that cannot be stored.")
    return Form(pairs)


def parse_urlencoded(body: bytes) -> list[tuple[str, str]]:
    """Return the pairs of a urlencoded body. Raises Problem (400) when it is not UTF-8 or holds too many fields."""
    try:
        text = body.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise _broken("It is not a well-formed form.") from None


async def _read_multipart(request: Request) -> list[tuple[str, str]]:
    try:
        form = await request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
    except HTTPException as error:
        if error.status_code == 413:
            raise
        raise _broken("It is not a well-formed form, or it holds a file.") from None
    except (ValueError, KeyError, LookupError):
        raise _broken("It is not a well-formed form.") from None
    return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]


def _broken(detail: str) -> Problem:
    return Problem(
        "invalid_input",
        status=400,
        title="This form cannot be read",
        detail=detail,
        next_step="Reload the page and send it again.",
    )
