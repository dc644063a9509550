"""Binance's refusals: a negative code and words, as its documents list them."""

from dataclasses import dataclass, field

from app.sandbox.calls import Json


@dataclass(eq=False)
class BinanceRefusal(Exception):
    """A call Binance says no to."""

    code: int
    words: str
    status: int = 400
    headers: dict[str, str] = field(default_factory=dict)

    def write(self) -> Json:
        return {"code": self.code, "msg": self.words}


def rejected_key() -> BinanceRefusal:
    """Return the one answer Binance has for an unknown key, an address not listed, and a missing right."""
    return BinanceRefusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def bad_key_format() -> BinanceRefusal:
    return BinanceRefusal(-2014, "API-key format invalid.", 401)


def wrong_signature() -> BinanceRefusal:
    return BinanceRefusal(-1022, "Signature for this request is not valid.")


def outside_window() -> BinanceRefusal:
    return BinanceRefusal(-1021, "Timestamp for this request is outside of the recvWindow.")


def ahead_of_server() -> BinanceRefusal:
    return BinanceRefusal(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def missing_parameter(name: str) -> BinanceRefusal:
    return BinanceRefusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def invalid_symbol() -> BinanceRefusal:
    return BinanceRefusal(-1121, "Invalid symbol.")


def failed_filter(name: str) -> BinanceRefusal:
    return BinanceRefusal(-1013, f"Filter failure: {name}")


def too_much_weight() -> BinanceRefusal:
    words = "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."
    return BinanceRefusal(-1003, words, 429, {"Retry-After": "2"})
