"""What GET /api/v1/exchanges tells: the registry as a client needs it to build its own connect form."""

from pydantic import BaseModel, Field

from app.exchanges.registry import Exchanges
from app.exchanges.types import AccessPlan, Exchange


class FieldOut(BaseModel):
    name: str = Field(examples=["api_key"])
    label: str = Field(description="The exchange's own word for it.", examples=["Access Key"])
    secret: bool
    help: str
    multiline: bool


class BoxOut(BaseModel):
    label: str = Field(description="The tick box's own words.", examples=["Withdraw"])
    permission: str | None = Field(examples=["withdraw"])
    on_for: list[str] = Field(description="Plans for which it is to be ticked; none: leave it empty.", examples=[[]])
    why: str


class GuideStepOut(BaseModel):
    title: str
    text: str
    kind: str = Field(description="`text`, `label`, `boxes`, `addresses` or `secret`.", examples=["boxes"])


class EnvironmentOut(BaseModel):
    name: str = Field(examples=["live"])
    keys_url: str = Field(description="Where keys are made; empty for the sandbox.")


class ExchangeOut(BaseModel):
    """One exchange on offer."""

    slug: str
    name: str
    environments: list[EnvironmentOut]
    fields: list[FieldOut]
    permissions: dict[str, list[str]] = Field(description="What a key needs, per plan.", examples=[{"balances": ["read"]}])
    boxes: list[BoxOut]
    guide: list[GuideStepOut]
    verified_on: str = Field(description="When the guide was last compared with the exchange's site.", examples=["2026-11"])


class ExchangeList(BaseModel):
    items: list[ExchangeOut]
    egress: list[str] = Field(
        description="Addresses this server calls from, to allow at the exchange.", examples=[["203.0.113.10"]]
    )


def present_exchanges(exchanges: Exchanges, *, egress: tuple[str, ...]) -> ExchangeList:
    return ExchangeList(items=[_present(one, exchanges) for one in exchanges.list_all()], egress=list(egress))


def _present(exchange: Exchange, exchanges: Exchanges) -> ExchangeOut:
    environments = []
    for environment in exchanges.list_environments(exchange.slug):
        site = exchanges.site(exchange.slug, environment)
        environments.append(EnvironmentOut(name=environment.value, keys_url=site.keys_url if site else ""))
    return ExchangeOut(
        slug=exchange.slug,
        name=exchange.name,
        environments=environments,
        fields=[
            FieldOut(name=one.name, label=one.label, secret=one.secret, help=one.help, multiline=one.multiline)
            for one in exchange.fields
        ],
        permissions={plan.value: sorted(right.value for right in exchange.needs.get(plan, frozenset())) for plan in AccessPlan},
        boxes=[
            BoxOut(
                label=box.label,
                permission=box.permission.value if box.permission else None,
                on_for=[plan.value for plan in AccessPlan if plan in box.on_for],
                why=box.why,
            )
            for box in exchange.boxes
        ],
        guide=[GuideStepOut(title=step.title, text=step.text, kind=step.kind) for step in exchange.guide],
        verified_on=exchange.verified_on,
    )
