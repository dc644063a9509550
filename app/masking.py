"""The masking type: the only form in which a secret may travel through Keydeck.

It cannot be printed, formatted, pickled, hashed, ordered or compared in variable time. `reveal()` is the one door,
and a house rule (tests/test_architecture.py) lists the few modules that may call it.
"""

import hmac
from typing import Any, NoReturn, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

MASK = "••••••"
_SHORTEST_HIDDEN = 4  # masking shorter texts would only spoil words


class Secret:
    """A text that must never be shown: a key's private part, a password, a token."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Return the plain text; only for sealing, signing and password hashing."""
        return self.__value

    def hide_in(self, text: str) -> str:
        """Return the text with this secret masked wherever it occurs: an exchange may repeat what it was sent."""
        return text.replace(self.__value, MASK) if len(self.__value) >= _SHORTEST_HIDDEN else text

    def __len__(self) -> int:
        return len(self.__value)

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, format_spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        """Compare in constant time, and only with another secret."""
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = (text.encode(errors="surrogatepass") for text in (self.__value, other.reveal()))
        return hmac.compare_digest(mine, theirs)

    __hash__ = None  # type: ignore[assignment]  # a hash would let a set or dict compare in variable time

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let models declare secrets: text (or a secret) goes in, only the mask comes out."""
        text = core_schema.no_info_after_validator_function(cls, core_schema.str_schema(strict=True, max_length=8192))
        return core_schema.no_info_wrap_validator_function(
            lambda value, handler: value if isinstance(value, cls) else handler(value),
            text,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda _: MASK, return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "password", "writeOnly": True, "maxLength": 8192}
