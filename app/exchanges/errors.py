"""Everything that can go wrong at an exchange, grouped by who must act.

ExchangeError
  KeyRefused            the trader   InvalidKey  BadSignature  KeyExpired  IpNotAllowed  PermissionMissing
                                     AccountBlocked  WaitingForConfirmation
  NumberRefused         the trader
  ExchangeUnavailable   nobody       RateLimited  Unreachable
                        the exchange Maintenance  OutOfService  Resting
  OurFault              the operator ClockSkew  UnexpectedReply  RequestRefused  UndeclaredCall
                                     LimitsUnknown  StoodStill  NoWayOut

The branch decides tone and retry, the leaf the sentence. Bad weather (slow, refused, 5xx, 429, HTML) never becomes
`KeyRefused`. Raise them `from None` outside this package: a chained client error could carry a signed URL.
"""

from typing import ClassVar


class ExchangeError(Exception):
    """A call that did not succeed.

    `told` holds the exchange's own words (for the owner only), `told_code` its number, `call` what was asked.
    """

    code: ClassVar[str] = "internal"
    who_acts: ClassVar[str] = "operator"

    def __init__(
        self,
        told: str = "",
        *,
        call: str = "",
        seen_ip: str | None = None,
        retry_after_seconds: float | None = None,
        skew_seconds: float | None = None,
        failing_for_seconds: float | None = None,
        told_code: str = "",
    ) -> None:
        super().__init__(self.code)
        self.told = told
        self.told_code = told_code
        self.call = call
        self.seen_ip = seen_ip
        self.retry_after_seconds = retry_after_seconds
        self.skew_seconds = skew_seconds
        self.failing_for_seconds = failing_for_seconds


class KeyRefused(ExchangeError):
    """The key itself is the reason: the trader must act."""

    who_acts = "trader"


class InvalidKey(KeyRefused):
    """The exchange does not know this key (mistyped, deleted, switched off, other site)."""

    code = "invalid_key"


class BadSignature(KeyRefused):
    """The exchange knows the key, but the secret does not belong to it."""

    code = "bad_signature"


class KeyExpired(KeyRefused):
    code = "key_expired"


class IpNotAllowed(KeyRefused):
    """The key is bound to addresses this server does not call from; `seen_ip` where the exchange tells it."""

    code = "ip_not_allowed"


class PermissionMissing(KeyRefused):
    code = "permission_missing"


class AccountBlocked(KeyRefused):
    code = "account_blocked"


class WaitingForConfirmation(KeyRefused):
    code = "waiting"


class NumberRefused(ExchangeError):
    """The exchange wants numbers (nonces) that rise per key, and has seen a higher one: another program uses the key.

    Keydeck's own numbers rise whatever its clock does, so the clock is not the reason; nor is the key a bad one: what was
    known of it stays.
    """

    code = "number_refused"
    who_acts = "trader"


class ExchangeUnavailable(ExchangeError):
    """Not the key's fault: wait, keep the last known values. Where it is the exchange's own failure, it must act."""

    code = "exchange_unavailable"
    who_acts = "nobody"


class RateLimited(ExchangeUnavailable):
    code = "rate_limited"


class Maintenance(ExchangeUnavailable):
    code = "maintenance"
    who_acts = "exchange"


class Unreachable(ExchangeUnavailable):
    """No answer: name lookup, connection, TLS or the total deadline failed."""

    code = "unreachable"


class OutOfService(ExchangeUnavailable):
    """An answer that is the exchange's own failure: 5xx, an HTML page, its gateway's error."""

    code = "exchange_unavailable"
    who_acts = "exchange"


class Resting(ExchangeUnavailable):
    """Not asked at all: the exchange failed often in a row, and Keydeck waits before it asks again.

    `failing_for_seconds` tells since when, `retry_after_seconds` when the next question may go out.
    """

    code = "exchange_unavailable"
    who_acts = "exchange"


class OurFault(ExchangeError):
    """This server is the reason: the operator must act; says nothing about the key."""


class ClockSkew(OurFault):
    """The exchange finds our clock wrong; `skew_seconds` is positive when ours is ahead."""

    code = "clock_skew"


class UnexpectedReply(OurFault):
    """JSON came, but not in a shape we know: never read as zero, never blamed on the key."""

    code = "unexpected_reply"


class RequestRefused(OurFault):
    """The exchange knows the call and refuses what it says, in words of its documents: nothing about the key."""

    code = "request_refused"


class UndeclaredCall(OurFault):
    """An adapter tried a request it did not declare; refused before the network."""

    code = "internal"


class NoWayOut(OurFault):
    """The way out itself failed: its local address or its proxy. Whether the exchange answers is not known."""

    code = "no_way_out"


class LimitsUnknown(OurFault):
    """Not asked: the counts that all processes share are out of reach, and a limit of the exchange could be broken."""

    code = "internal"


class StoodStill(OurFault):
    """This process stood still while it asked, or until it was too late to ask: nothing is known of exchange or key."""

    code = "internal"


def list_leaves() -> tuple[type[ExchangeError], ...]:
    """Return every concrete leaf of the tree, for completeness tests."""

    def walk(kind: type[ExchangeError]) -> list[type[ExchangeError]]:
        children = kind.__subclasses__()
        return [leaf for child in children for leaf in walk(child)] if children else [kind]

    return tuple(walk(ExchangeError))
