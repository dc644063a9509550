"""What goes into a connect attempt, and what comes out when it is refused: nothing stored, everything explained."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from app.credentials.verdict import Blame
from app.credentials.views import Advice, Status, Step
from app.exchanges.types import Grant, Permission
from app.masking import Secret

StepListener = Callable[[Step], Awaitable[None]]
"""Called for every change of a step, in order. It must not raise."""


@dataclass(frozen=True, slots=True)
class ConnectInput:
    """What a trader submitted, as it came: cleaned and judged by the service. `attested`: "Withdraw is off, I looked".

    `way` names the way out whose address the guide showed; empty: any.
    """

    exchange: str
    environment: str
    label: str
    plan: str
    secrets: Mapping[str, Secret] = field(repr=False)
    attested: bool = False
    way: str = ""


class ConnectRefused(Exception):
    """A connect, replace or update that was refused: nothing was stored, what existed before still does.

    `status` is what the key would show, None when no question was asked of the exchange; `existing_id` names the
    credential that already holds the key (code `duplicate_key`); `blame` whose problem it is.
    """

    def __init__(
        self,
        advice: Advice,
        *,
        status: Status | None = None,
        steps: tuple[Step, ...] = (),
        grants: Mapping[Permission, Grant] | None = None,
        existing_id: str | None = None,
        blame: Blame | None = None,
    ) -> None:
        super().__init__(advice.code)
        self.advice = advice
        self.status = status
        self.steps = steps
        self.grants = dict(grants or {})
        self.existing_id = existing_id
        self.blame = blame
