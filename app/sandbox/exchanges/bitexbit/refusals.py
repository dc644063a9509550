"""bitexbit's refusals: an HTTP status and a JSON object with the detail, or a list of reasons per field."""

from dataclasses import dataclass, field

from app.sandbox.calls import Json


@dataclass(eq=False)
class BitexbitRefusal(Exception):
    """A call bitexbit says no to. `fields` replaces the detail with reasons per field."""

    status: int
    detail: str = ""
    fields: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def write(self) -> Json:
        return self.fields or {"detail": self.detail}


def invalid_nonce() -> BitexbitRefusal:
    return BitexbitRefusal(401, "Invalid nonce.")


def no_access() -> BitexbitRefusal:
    return BitexbitRefusal(403, "You do not have permission to perform this action.")


def not_found() -> BitexbitRefusal:
    return BitexbitRefusal(404, "Not found.")


def bad_field(name: str, reason: str) -> BitexbitRefusal:
    return BitexbitRefusal(400, fields={name: [reason]})


def missing_fields(*names: str) -> BitexbitRefusal:
    return BitexbitRefusal(400, fields={name: ["This field is required."] for name in names})
