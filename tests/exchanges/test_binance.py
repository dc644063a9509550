"""What the contract cannot say of Binance: its test site tells no rights, and funds elsewhere are left alone."""

from dataclasses import replace

from app.exchanges.types import Answer, Environment, Permission, Proof
from tests.exchanges.stage import stage


async def test_the_test_site_is_asked_for_the_account_alone() -> None:
    adapter, fake = stage("binance")
    adapter.context = replace(adapter.context, environment=Environment.DEMO)
    report = await adapter.check()
    assert [call.path for call in fake.seen] == ["/api/v3/account"]
    assert (report.grants[Permission.READ].answer, report.grants[Permission.READ].proof) == (Answer.YES, Proof.PROBED)
    assert {report.grants[right].answer for right in Permission if right is not Permission.READ} == {Answer.UNKNOWN}
    assert (report.account_id, report.allowed_ips, report.expires_at) == ("354937868", None, None)


async def test_an_end_in_the_past_is_no_end_of_the_key() -> None:
    told = {"enableReading": True, "enableWithdrawals": False, "enableSpotAndMarginTrading": True}
    reply = {"body": told | {"tradingAuthorityExpirationTime": 1_600_000_000_000}}
    adapter, _ = stage("binance", replies={"GET /sapi/v1/account/apiRestrictions": reply})
    assert (await adapter.check()).expires_at is None
