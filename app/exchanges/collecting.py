"""Reads the accounts of an exchange one after the other: what fails is missing, never zero."""

from collections.abc import Awaitable, Callable, Iterable

from app.exchanges.errors import ExchangeError, LimitsUnknown, StoodStill, Unreachable
from app.exchanges.http import ExchangeHttp
from app.exchanges.types import Balance, BalanceSheet, MissingAccount

_SILENT_SHARE = 0.9  # of the deadline: what took longer and failed was silence
Part = tuple[str, Callable[[], Awaitable[list[Balance]]]]  # an account's name, and how to read it


async def collect_accounts(parts: Iterable[Part], *, http: ExchangeHttp) -> BalanceSheet:
    """Return the non-zero balances of all accounts. Raises the first error when every account fails.

    Raises LimitsUnknown and StoodStill for any of them: what we could not ask is not missing at the exchange.

    An exchange that kept silent for a whole deadline is not asked for the accounts that are left.
    """
    balances: list[Balance] = []
    missing: list[MissingAccount] = []
    first: ExchangeError | None = None
    is_silent = False
    accounts = list(parts)
    for account, fetch in accounts:
        if is_silent:
            missing.append(MissingAccount(account, Unreachable.code))
            continue
        asked_at = http.monotonic()
        try:
            balances += [balance for balance in await fetch() if balance.total]
        except (LimitsUnknown, StoodStill):
            raise
        except ExchangeError as error:
            first = first or error
            missing.append(MissingAccount(account, error.code))
            waited = http.monotonic() - asked_at
            is_silent = isinstance(error, Unreachable) and waited > _SILENT_SHARE * http.deadline_seconds
    if first is not None and len(missing) == len(accounts):
        raise first
    return BalanceSheet(tuple(balances), tuple(missing))
