"""Lists the sandbox's keys with what connecting each must give: offered to copy, printed by the command, used by tests."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.exchanges.types import ProbePolicy
from app.masking import Secret
from app.sandbox.exchange import find_exchanges
from app.sandbox.scenarios import foresee


@dataclass(frozen=True, slots=True)
class SandboxKey:
    """One key to connect: its secrets by field name, the plan to choose, and the expected status, code and storing.

    `words` says in one line what it shows.
    """

    exchange: str
    scenario: str
    secrets: Mapping[str, Secret]
    plan: str
    status: str | None
    code: str | None
    stored: bool
    words: str

    def show_secrets(self) -> dict[str, str]:
        """Return the values to copy: public test data that opens nothing but the sandbox."""
        return {name: value.reveal() for name, value in self.secrets.items()}


def list_keys(probes: ProbePolicy = ProbePolicy.HARMLESS) -> tuple[SandboxKey, ...]:
    """Return every sandbox key, the same values in every process; the outcome is the one under this probe policy."""
    keys: list[SandboxKey] = []
    for kind in find_exchanges():
        for scenario in kind.scenarios:
            access_key, secret = kind.write_key(scenario.name)
            entered = secret if scenario.has_right_secret else kind.write_wrong_secret(scenario.name)
            outcome = foresee(scenario, withdraw_known_from=kind.withdraw_known_from, probes=probes)
            keys.append(
                SandboxKey(
                    exchange=kind.slug,
                    scenario=scenario.name,
                    secrets={"api_key": Secret(access_key), "secret_key": Secret(entered)},
                    plan=scenario.plan.value,
                    status=outcome.status,
                    code=outcome.code,
                    stored=outcome.stored,
                    words=scenario.words,
                )
            )
    return tuple(keys)
