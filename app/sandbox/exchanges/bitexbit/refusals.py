"""bitexbit's refusals: an HTTP status and a JSON object with the detail, or a list of reasons per field."""

from dataclasses import dataclass, field

from app.sandbox.calls import Json, ReceivedCall

OLD_ERRORS = "v1-errors"


@dataclass(eq=False)
class BitexbitRefusal(Exception):
    """A call bitexbit says no to. `fields` replaces the detail with reasons per field."""

    status: int
    detail: str = ""
    fields: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def write(self) -> Json:
        return self.fields or {"detail": self.detail}

    def write_old(self, call: ReceivedCall) -> Json:
        """Return the body as v1 writes it, which its sister exchange was seen to send."""
        words = self.detail or "; ".join(f"{name}: {reason}" for name, reasons in self.fields.items() for reason in reasons)
        return {"date": round(call.received_at.timestamp(), 2), "error": words}


def throttled() -> BitexbitRefusal:
    return BitexbitRefusal(429, "Request was throttled. Expected available in 2 seconds.", headers={"Retry-After": "2"})


def under_maintenance() -> BitexbitRefusal:
    return BitexbitRefusal(503, "Service is under maintenance.")


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
