"""Kraken's refusals: texts in a list, always with HTTP 200."""

from dataclasses import dataclass

from app.sandbox.calls import Json


@dataclass(eq=False)
class KrakenRefusal(Exception):
    """A call Kraken says no to, as Severity + Category:Message."""

    words: str

    def write(self) -> Json:
        return {"error": [self.words]}


def invalid_key() -> KrakenRefusal:
    return KrakenRefusal("EAPI:Invalid key")


def invalid_signature() -> KrakenRefusal:
    return KrakenRefusal("EAPI:Invalid signature")


def invalid_nonce() -> KrakenRefusal:
    return KrakenRefusal("EAPI:Invalid nonce")


def permission_denied() -> KrakenRefusal:
    return KrakenRefusal("EGeneral:Permission denied")


def unknown_method() -> KrakenRefusal:
    return KrakenRefusal("EGeneral:Unknown method")


def invalid_argument(name: str) -> KrakenRefusal:
    return KrakenRefusal(f"EGeneral:Invalid arguments:{name}")
