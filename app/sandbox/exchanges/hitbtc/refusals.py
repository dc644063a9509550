"""HitBTC's error table and envelope, as its v3 API words them."""

from dataclasses import dataclass

from app.sandbox.calls import Json, ReceivedCall

_TABLE = {
    403: (401, "Action is forbidden for account"),
    429: (429, "Too many requests"),
    500: (500, "Internal Server Error"),
    503: (503, "Service Unavailable"),
    600: (400, "Action not allowed"),
    800: (404, "Resource not found"),
    1002: (401, "Authorization is required or has been failed"),
    1003: (403, "Action is forbidden for this API key"),
    1004: (401, "Unsupported authorization method"),
    2001: (400, "Symbol not found"),
    2002: (400, "Currency not found"),
    2010: (400, "Quantity not a valid number"),
    2011: (400, "Quantity too low"),
    2012: (400, "Bad quantity"),
    2020: (400, "Price not a valid number"),
    2022: (400, "Bad price"),
    10001: (400, "Validation error"),
    20001: (400, "Insufficient funds"),
    20002: (400, "Order not found"),
    20003: (400, "Limit exceeded"),
    20004: (400, "Transaction not found"),
    20008: (400, "Duplicate clientOrderId"),
    20009: (400, "Price and quantity not changed"),
    20045: (400, "Fat finger limit exceeded"),
}
_DESCRIPTIONS = {
    429: "Too many requests",
    503: "Service is under maintenance",
    600: "Action is not allowed for this account",
    1003: "Check permissions for API key",
    20001: "Check that the funds are sufficient, given commissions",
    20004: "Transaction not found",
}
NO_DESCRIPTION = "no-description"
EMPTY_DESCRIPTION = "empty-description"
WRAPPED = "wrapped-errors"


@dataclass(eq=False)
class HitbtcRefusal(Exception):
    """A call HitBTC says no to. `retry_after_seconds` adds the header."""

    code: int
    description: str | None = None
    message: str | None = None
    retry_after_seconds: int | None = None

    @property
    def status(self) -> int:
        return _TABLE[self.code][0]

    def write(self, call: ReceivedCall, *, switches: set[str]) -> Json:
        """Return the body: the plain envelope, or the wrapped one that v3 sends at times."""
        told = _DESCRIPTIONS.get(self.code, "") if self.description is None else self.description
        error: dict[str, Json] = {"code": self.code, "message": self.message or _TABLE[self.code][1]}
        if NO_DESCRIPTION not in switches:
            error["description"] = "" if EMPTY_DESCRIPTION in switches else told
        if WRAPPED not in switches:
            return {"error": error}
        stamp = call.received_at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{call.received_at.microsecond // 1000:03d}Z"
        return {"timestamp": stamp, "error": error, "path": call.path, "requestId": f"e1e9fce6-{len(call.path):08d}"}
