"""The API's answer: exact text, no value until one can be told, and every gap named."""

import json
from datetime import timedelta

from app.balances.api import NO_VALUATION, present
from app.balances.service import Overview
from app.balances.totals import add_up, cover
from app.credentials.views import CredentialView
from app.exchanges.types import Environment, MissingAccount
from tests.balances.views import NOW, make_view, with_failure


def answer(*views: CredentialView) -> dict[str, object]:
    totals = add_up(views, now=NOW, explain=lambda code, exchange: f"{exchange.name}: {code}.")
    parts = [part for environment in totals for part in environment.parts]
    found: dict[str, object] = json.loads(present(Overview(NOW, totals, cover(parts)), currency="EUR").model_dump_json())
    return found


def test_without_credentials_everything_is_empty_and_nothing_is_zero() -> None:
    body = answer()
    assert (body["currency"], body["value"], body["value_reason"]) == ("EUR", None, NO_VALUATION)
    assert (body["assets"], body["credentials"], body["environments"]) == ([], [], [])
    assert body["coverage"] == {"counted": 0, "of": 0, "oldest_seconds": None, "stale": 0, "not_counted": [], "incomplete": []}


def test_amounts_are_exact_text_without_exponents() -> None:
    body = answer(make_view("crd_1", "spot PEPE 123456789012345678901234567890.5 0", "spot BTC 1E-8 0E-8"))
    totals = {line["asset"]: (line["available"], line["held"], line["total"]) for line in body["assets"]}  # type: ignore[attr-defined]  # JSON
    assert totals == {
        "BTC": ("0.00000001", "0.00000000", "0.00000001"),
        "PEPE": ("123456789012345678901234567890.5", "0", "123456789012345678901234567890.5"),
    }


def test_every_gap_is_named() -> None:
    gap = (MissingAccount("wallet", "permission_missing"),)
    body = answer(
        make_view("crd_1", "spot BTC 1 0", minutes_old=12, missing=gap),
        with_failure(make_view("crd_2", minutes_old=None), "maintenance"),
        make_view("crd_3", "spot BTC 7 0", minutes_old=24 * 60 + 5),
    )
    coverage = body["coverage"]
    assert isinstance(coverage, dict)
    assert (coverage["counted"], coverage["of"], coverage["oldest_seconds"]) == (1, 3, 720)
    assert [(row["id"], row["reason"], row["code"], row["detail"]) for row in coverage["not_counted"]] == [
        ("crd_2", "never_read", "maintenance", "HitBTC: maintenance."),
        ("crd_3", "too_old", None, ""),
    ]
    missing = [{"account": "wallet", "code": "permission_missing", "detail": "HitBTC: permission_missing."}]
    assert coverage["incomplete"] == [{"id": "crd_1", "label": "Label of crd_1", "missing": missing}]


def test_environments_stand_apart() -> None:
    body = answer(make_view("crd_1", "spot BTC 1 0"), make_view("crd_2", "spot BTC 2 0", environment=Environment.SANDBOX))
    assert [(line["environment"], line["total"]) for line in body["assets"]] == [("live", "1"), ("sandbox", "2")]  # type: ignore[attr-defined]  # JSON
    assert [row["environment"] for row in body["environments"]] == ["live", "sandbox"]  # type: ignore[attr-defined]  # JSON


def test_a_credential_keeps_its_last_values_and_tells_their_age() -> None:
    body = answer(with_failure(make_view("crd_1", "spot BTC 1 0.5", minutes_old=40), "unreachable"))
    (row,) = body["credentials"]  # type: ignore[misc]  # JSON
    assert (row["counting"], row["age_seconds"], row["failure_code"], row["status"]) == (
        "stale",
        2400,
        "unreachable",
        "connected",
    )
    assert row["balances"] == [{"account": "spot", "asset": "BTC", "available": "1", "held": "0.5", "total": "1.5"}]
    assert row["failed_at"] == (NOW - timedelta(minutes=1)).isoformat().replace("+00:00", "Z")


def test_nothing_of_the_key_is_in_the_answer() -> None:
    text = json.dumps(
        answer(make_view("crd_1", "spot BTC 1 0", account_id="acc-77", allowed_ips=("198.51.100.7",), key_hint="h1nt"))
    )
    assert not any(hidden in text for hidden in ("acc-77", "198.51.100.7", "h1nt", "0" * 32))
