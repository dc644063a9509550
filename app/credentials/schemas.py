"""What the JSON API takes and gives for credentials: request models that keep secrets masked, and answers without any."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainSerializer

from app.credentials.connect import ConnectRefused
from app.credentials.records import write_evidence, write_grants, write_moment, write_steps
from app.credentials.verdict import Blame
from app.credentials.views import Advice, BalancesView, CheckView, CredentialView
from app.exchanges.types import Grant
from app.masking import Secret
from app.web.errors import Problem

Moment = Annotated[datetime, PlainSerializer(write_moment, return_type=str)]
_EXAMPLE_SECRETS: dict[str, JsonValue] = {"api_key": "the public part", "secret_key": "the secret part"}
_WHO = "`trader`, `operator`, `exchange`, or `nobody` where it passes by itself."


class _Given(BaseModel):
    """A request body: unknown members are refused, and no error repeats what was sent."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class ConnectBody(_Given):
    """A key to connect. It is checked at the exchange first; a refused one leaves nothing behind."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "exchange": "a slug of GET /api/v1/exchanges",
                "environment": "live",
                "label": "Main account",
                "plan": "balances",
                "secrets": _EXAMPLE_SECRETS,
            }
        }
    )
    exchange: str = Field(max_length=64, description="Slug from GET /api/v1/exchanges.")
    environment: str = Field("live", max_length=16, description="`live`, `demo` or `sandbox`, as the exchange offers.")
    label: str = Field("", max_length=400, description="At most 40 characters; empty: the exchange's name.")
    plan: str = Field("balances", max_length=16, description="`balances` or `trading`.")
    secrets: dict[str, Secret] = Field(max_length=8, description="One value per field of the exchange. Never returned.")
    attested: bool = Field(False, strict=True, description="You looked at the exchange and Withdraw is off.")
    egress: str = Field(
        "", max_length=64, description="The address the key is bound to, one of GET /api/v1/exchanges; empty: any."
    )


class SecretsBody(_Given):
    """A new key for the same account. The old one stays until the new one has passed."""

    model_config = ConfigDict(json_schema_extra={"example": {"secrets": _EXAMPLE_SECRETS}})
    secrets: dict[str, Secret] = Field(max_length=8, description="One value per field of the exchange. Never returned.")
    attested: bool = Field(False, strict=True, description="You looked at the exchange and Withdraw is off.")


class UpdateBody(_Given):
    """What to change; members left out stay as they are."""

    model_config = ConfigDict(json_schema_extra={"example": {"label": "Main account", "paused": False}})
    label: str | None = Field(None, max_length=400)
    plan: str | None = Field(None, max_length=16)
    paused: bool | None = Field(None, strict=True)


class GrantOut(BaseModel):
    answer: str = Field(description="`yes`, `no` or `unknown`.", examples=["no"])
    proof: str = Field(description="`told`, `probed`, `attested` or `none`.", examples=["told"])
    known_at: Moment | None
    call: str | None = Field(description="The request that showed it.", examples=["GET /v2/user/api-key"])


class ProblemOut(BaseModel):
    cause: str = Field(examples=["The exchange refuses this key from this server's address."])
    remedy: str
    who_acts: str = Field(description=_WHO, examples=["trader"])
    action: str = Field(description="The next click: replace, guide, recheck, watch_only, copy_address or none.")
    copy_text: str | None = Field(serialization_alias="copy", description="A text to copy, such as an address to allow.")
    link: str | None = Field(description="The page of the exchange on which the next step is taken.")


class VerdictOut(BaseModel):
    """You or them: whose problem a failed check is, weighed against the exchange's public answer and other keys here."""

    whose: str = Field(description="`only_this_key`, `everyone_here`, `our_side` or `unclear`.", examples=["only_this_key"])
    sentence: str


class NoticeOut(BaseModel):
    """Something worth mending on a key that works, such as a right it does not need."""

    code: str = Field(examples=["excess_transfer"])
    cause: str
    remedy: str
    box: str | None = Field(description="The tick box it is about, as the exchange calls it.")
    link: str | None = Field(description="The page of the exchange on which it is mended.")


class BalancesOut(BaseModel):
    fetched_at: Moment | None
    age_seconds: int | None
    assets: int | None = Field(description="How many assets are held; null when never read, which is not zero.")
    failed_at: Moment | None
    failure_code: str | None


class CredentialOut(BaseModel):
    """A credential as its owner may see it. There is no call that returns a secret."""

    id: str = Field(examples=["crd_0123456789abcdefghjkmnpqrs"])
    exchange: str
    environment: str = Field(examples=["live"])
    label: str = Field(examples=["Main account"])
    plan: str = Field(examples=["balances"])
    key_hint: str = Field(description="The last four characters of the public part.", examples=["f3a9"])
    status: str = Field(examples=["connected"])
    code: str | None = Field(description="Problem code that explains the status.", examples=[None])
    problem: ProblemOut | None
    grants: dict[str, GrantOut]
    checked_at: Moment | None
    next_check_at: Moment | None
    expires_at: Moment | None
    allowed_ips: list[str] | None
    egress: list[str] = Field(description="The addresses that the exchange sees this key used from: allow these.")
    notices: list[NoticeOut]
    verdict: VerdictOut | None = Field(description="Whose problem it is, while the newest check has failed; else null.")
    paused: bool
    quarantined_at: Moment | None = Field(description="Since when the key is used for checks only: it gained a right.")
    balances: BalancesOut | None
    created_at: Moment


class CredentialPage(BaseModel):
    items: list[CredentialOut]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last.")


class StepOut(BaseModel):
    name: str = Field(examples=["signature"])
    state: str = Field(description="`passed`, `warned`, `failed` or `skipped`.", examples=["passed"])
    detail: str
    duration_ms: int | None


class EvidenceOut(BaseModel):
    call: str = Field(examples=["GET /api/3/spot/balance"])
    asked_at: Moment
    outcome: str = Field(description="`ok` or a problem code.", examples=["ok"])
    http_status: int | None
    latency_ms: int


class CheckOut(BaseModel):
    id: str = Field(examples=["chk_0123456789abcdefghjkmnpqrs"])
    reason: str = Field(examples=["manual"])
    started_at: Moment
    finished_at: Moment
    code: str = Field(description="`ok` or a problem code.", examples=["ok"])
    problem: ProblemOut | None
    told: str = Field(description="How the exchange itself put it; empty where it said nothing.", examples=["Invalid signature"])
    grants: dict[str, GrantOut] | None
    steps: list[StepOut]
    evidence: list[EvidenceOut]


class CheckPage(BaseModel):
    items: list[CheckOut]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last.")


class ProblemDocument(BaseModel):
    """Every refusal (`application/problem+json`). `grants`, `steps` and `existing_id` come with a refused key."""

    type: str = Field(examples=["urn:keydeck:problem:bad_signature"])
    title: str
    status: int = Field(examples=[422])
    code: str = Field(description="Stable word for programs.", examples=["bad_signature"])
    detail: str
    who_acts: str = Field(description=_WHO, examples=["trader"])
    next_step: str
    request_id: str
    field: str | None = Field(None, description="The input at fault.", examples=["secret_key"])
    grants: dict[str, GrantOut] | None = None
    steps: list[StepOut] | None = None
    existing_id: str | None = Field(None, description="The credential that holds the key already (`duplicate_key`).")
    credential_status: str | None = Field(None, description="The status that this key would show.")
    copy_text: str | None = Field(None, alias="copy", description="A text to copy, such as an address to allow.")
    link: str | None = Field(None, description="The page of the exchange on which the next step is taken.")
    verdict: VerdictOut | None = Field(None, description="Whose problem it is, where the exchange was asked.")


def present_credential(view: CredentialView, *, now: datetime) -> CredentialOut:
    return CredentialOut(
        id=view.id,
        exchange=view.exchange.slug,
        environment=view.environment.value,
        label=view.label,
        plan=view.plan.value,
        key_hint=view.key_hint,
        status=view.status.value,
        code=view.advice.code if view.advice else None,
        problem=_present_advice(view.advice),
        grants={right.value: GrantOut(**_grant(row)) for right, row in view.grants.items()},
        checked_at=view.checked_at,
        next_check_at=view.next_check_at,
        expires_at=view.expires_at,
        allowed_ips=None if view.allowed_ips is None else list(view.allowed_ips),
        egress=list(view.egress),
        notices=[NoticeOut(code=n.code, cause=n.cause, remedy=n.remedy, box=n.box, link=n.link) for n in view.notices],
        verdict=present_verdict(view.verdict),
        paused=view.paused,
        quarantined_at=view.quarantined_at,
        balances=_present_balances(view.balances, now=now),
        created_at=view.created_at,
    )


def present_verdict(blame: Blame | None) -> VerdictOut | None:
    return None if blame is None else VerdictOut(whose=blame.whose.value, sentence=blame.sentence)


def present_check(view: CheckView) -> CheckOut:
    return CheckOut(
        id=view.id,
        reason=view.reason,
        started_at=view.started_at,
        finished_at=view.finished_at,
        code=view.code,
        problem=_present_advice(view.advice),
        told=view.told,
        grants=None if view.grants is None else {right.value: GrantOut(**_grant(row)) for right, row in view.grants.items()},
        steps=[StepOut(**row) for row in write_steps(view.steps)],
        evidence=[EvidenceOut(**row) for row in write_evidence(view.evidence)],
    )


def make_problem(refused: ConnectRefused) -> Problem:
    """Return the problem document's content of a refusal: cause, who must act, the next step, and what was found."""
    advice = refused.advice
    extra: dict[str, Any] = {"grants": write_grants(refused.grants), "steps": write_steps(refused.steps)}
    optional = {
        "field": advice.field,
        "existing_id": refused.existing_id,
        "copy": advice.copy,
        "link": advice.link,
        "credential_status": refused.status.value if refused.status else None,
        "verdict": {"whose": refused.blame.whose.value, "sentence": refused.blame.sentence} if refused.blame else None,
    }
    extra |= {name: value for name, value in optional.items() if value is not None}
    return Problem(
        advice.code,
        status=422,
        title=advice.cause,
        detail=f"{advice.cause} Nothing was stored.",
        who_acts=advice.who_acts,
        next_step=advice.remedy,
        extra=extra,
    )


def _grant(grant: Grant) -> dict[str, Any]:
    return {"answer": grant.answer.value, "proof": grant.proof.value, "known_at": grant.known_at, "call": grant.call}


def _present_advice(advice: Advice | None) -> ProblemOut | None:
    if advice is None:
        return None
    return ProblemOut(
        cause=advice.cause,
        remedy=advice.remedy,
        who_acts=advice.who_acts,
        action=advice.action,
        copy_text=advice.copy,
        link=advice.link,
    )


def _present_balances(balances: BalancesView, *, now: datetime) -> BalancesOut | None:
    if balances.fetched_at is None and balances.failed_at is None:
        return None
    return BalancesOut(
        fetched_at=balances.fetched_at,
        age_seconds=None if balances.fetched_at is None else max(0, int((now - balances.fetched_at).total_seconds())),
        assets=None if balances.sheet is None else len({row.asset for row in balances.sheet.balances}),
        failed_at=balances.failed_at,
        failure_code=balances.failure_code,
    )
