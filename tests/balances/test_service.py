"""The overview reads what is known, narrows the list by name without touching totals, and explains codes in words."""

from dataclasses import dataclass

import pytest

from app.accounts.current_user import Principal
from app.balances.service import Balances, explain
from app.clock import Clock
from app.credentials.problem_words import WORDS
from app.credentials.views import CredentialView
from app.exchanges.types import Environment
from tests.balances.views import make_exchange, make_view

TRADER = Principal("usr_1", "trader@example.org", frozenset(), None, "ses_1", None, "127.0.0.1")


@dataclass
class KnownCredentials:
    """Stands for the credentials service: gives these views."""

    views: list[CredentialView]

    async def list_all(self, principal: Principal) -> list[CredentialView]:
        assert principal is TRADER
        return self.views


def open_balances(clock: Clock, *views: CredentialView) -> Balances:
    return Balances(KnownCredentials(list(views)), clock=clock)  # type: ignore[arg-type]  # the one method used


async def test_nobody_has_nothing(clock: Clock) -> None:
    overview = await open_balances(clock).describe(TRADER)
    assert (overview.environments, overview.coverage.counted, overview.coverage.of, overview.coverage.oldest_at) == (
        (),
        0,
        0,
        None,
    )


@pytest.mark.parametrize(
    ("find", "assets"), [("", ["BTC", "ETH", "USDT"]), (" usd ", ["USDT"]), ("t", ["BTC", "ETH", "USDT"]), ("zz", [])]
)
async def test_finding_an_asset_changes_no_coverage(clock: Clock, find: str, assets: list[str]) -> None:
    view = make_view("crd_1", "spot BTC 1 0", "spot ETH 1 0", "spot USDT 1 0")
    overview = await open_balances(clock, view).describe(TRADER, find=find)
    assert [line.asset for line in overview.environments[0].assets] == assets
    assert len(overview.environments[0].parts[0].rows) == 3
    assert overview.coverage.counted == 1


async def test_the_overall_coverage_counts_credentials_of_every_environment(clock: Clock) -> None:
    views = (make_view("crd_1"), make_view("crd_2", environment=Environment.SANDBOX), make_view("crd_3", minutes_old=None))
    overview = await open_balances(clock, *views).describe(TRADER)
    assert (overview.coverage.counted, overview.coverage.of) == (2, 3)


@pytest.mark.parametrize("code", [*WORDS, "a_code_of_a_newer_version"])
def test_every_code_is_explained_in_a_sentence(code: str) -> None:
    words = explain(code, make_exchange())
    assert words.endswith(".")
    assert "{" not in words
