"""Names an answer that no row of an exchange's refusals explains: bad weather, never a key problem."""

from app.exchanges.errors import ExchangeError, Maintenance, OutOfService, RateLimited, UnexpectedReply
from app.exchanges.http import Reply
from app.exchanges.reading import parse_retry_after


def name_weather(reply: Reply, *, call: str, told: str = "") -> ExchangeError:
    """Return the error for such an answer; `told` are the exchange's words, where it said some in its own form."""
    kind: type[ExchangeError] = OutOfService
    if reply.status == 429:
        kind = RateLimited
    elif reply.status == 503:
        kind = Maintenance
    elif reply.status < 500 and (told or (200 <= reply.status < 300 and reply.content.lstrip()[:1] in (b"{", b"["))):
        kind = UnexpectedReply
    return kind(told, call=call, retry_after_seconds=parse_retry_after(reply))
