"""What people type about accounts: cleaned, judged, and refused on its own field without ever being echoed."""

import re
from dataclasses import dataclass

from app.accounts.passwords import find_password_fault
from app.masking import Secret
from app.web.errors import Problem

LONGEST_EMAIL = 254
LONGEST_NAME = 60
_EMAIL = re.compile(r"[^\s@\"'(),:;<>\[\]\\]{1,64}@[\w-]+(\.[\w-]+)*")


class EntryRefused(Problem):
    """One field of a form cannot be taken as it is; `field` and `message` say which and what to do."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(
            "invalid_input",
            status=422,
            title="One field needs another look",
            detail=message,
            next_step="Correct the field and send again.",
            extra={"errors": [{"loc": [field], "msg": message}]},
        )
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True)
class Visit:
    """Where a way in is opened from. `session_id` is the browser's session so far, which a new one takes the place of.

    `device_mark` is the hash of the token by which a browser is known again, empty when it sends none.
    """

    ip: str
    user_agent: str
    session_id: str | None = None
    device_mark: str = ""


def parse_email(text: str) -> str | None:
    """Return the address as it is stored, lower case, or None if it is none."""
    address = text.strip().lower()
    fits = len(address) <= LONGEST_EMAIL and address.isprintable() and _EMAIL.fullmatch(address)
    return address if fits else None


def demand_email(text: str) -> str:
    """Return the address as it is stored. Raises EntryRefused."""
    address = parse_email(text)
    if address is None:
        raise EntryRefused("email", "Enter an e-mail address such as name@example.org.")
    return address


def demand_password(password: Secret, *, email: str, field: str = "password") -> Secret:
    """Return the new password if it may be used. Raises EntryRefused."""
    fault = find_password_fault(password, email=email)
    if fault is not None:
        raise EntryRefused(field, fault)
    return password


def demand_name(text: str) -> str:
    """Return a token's name, trimmed. Raises EntryRefused."""
    name = text.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise EntryRefused("name", f"Give it a name of 1 to {LONGEST_NAME} characters, such as the program that will use it.")
    return name
