"""What every way out has in common: an address, a message, and an outcome in words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from app.alerts.messages import Outgoing
from app.mail import Mail, Mailer, MailFailed
from app.masking import Secret

SEND_SECONDS = 30.0
"""No way out takes longer; a claim lasts a multiple of it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a channel leads: the person's e-mail, and what was sealed for the channel."""

    email: str
    values: Mapping[str, Secret] = field(default_factory=dict, repr=False)


class SendFailed(Exception):
    """A message was not taken: `reason` is for people and holds no part of the address. `is_final`: no use trying again."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final


class Sender(Protocol):
    """One kind of way out."""

    async def send(self, outgoing: Outgoing, address: Address, *, at: datetime) -> str:
        """Send, and return the outcome in words. Raises SendFailed."""


class MailSender:
    """To the person's own address, by the operator's mail server."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer

    async def send(self, outgoing: Outgoing, address: Address, *, at: datetime) -> str:
        """Send one letter. Raises SendFailed."""
        try:
            await self._mailer.send(Mail(address.email, f"Keydeck: {outgoing.subject}", outgoing.text))
        except MailFailed as failure:
            raise SendFailed(failure.reason, is_final=failure.is_final) from None
        return "Taken by the mail server"
