"""The help desk's answer holds the facts support may see, and has no field for anything else."""

from app.credentials.views import Status
from app.support.api import SupportCredentialOut, present
from app.support.service import LookUp, LookUpState
from tests.support.cases import NOW, make_case

FORBIDDEN = ("secret", "label", "hint", "fingerprint", "account", "allowed", "address", "balance", "sheet", "ip")


def test_the_answer_tells_status_cause_reply_and_grants_with_proof() -> None:
    case = make_case(
        "crd_9",
        status=Status.IP_NOT_ALLOWED,
        code="ip_not_allowed",
        cause="HTX refuses requests from this server.",
        who_acts="trader",
    )
    body = present(LookUp(LookUpState.FOUND, "q", (case,), 2)).model_dump(mode="json")
    assert body["left_out"] == 2
    (row,) = body["credentials"]
    assert (row["id"], row["exchange"], row["status"], row["code"], row["who_acts"]) == (
        "crd_9",
        "htx",
        "ip_not_allowed",
        "ip_not_allowed",
        "trader",
    )
    assert row["grants"] == {"read": {"answer": "yes", "proof": "told", "known_at": NOW.isoformat().replace("+00:00", "Z")}}
    assert [check["code"] for check in row["checks"]] == ["ok"]


def test_no_field_of_the_answer_is_named_after_what_support_must_not_see() -> None:
    for name in SupportCredentialOut.model_fields:
        assert not any(word in name.split("_") for word in FORBIDDEN), name


def test_nothing_found_is_an_empty_list() -> None:
    assert present(LookUp(LookUpState.NO_MATCH, "q")).model_dump() == {"credentials": [], "left_out": 0}
