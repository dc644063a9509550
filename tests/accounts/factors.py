"""What the tests of second factors share: setting them up as a person would, and the codes an app shows."""

import re
from datetime import datetime
from typing import Any

import httpx
import pyotp

from tests.accounts.authenticator import Authenticator
from tests.accounts.doors import PASSWORD


class Phone:
    """An authenticator app that was handed a seed."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self._totp = pyotp.TOTP(seed)

    def show(self, now: datetime) -> str:
        return self._totp.at(now)


async def begin_app(client: httpx.AsyncClient) -> Phone:
    """Let the page show its QR code, and hand the seed written beside it to a phone."""
    page = await client.post("/security/two-step/app", follow_redirects=True)
    assert page.status_code == 200, page.text
    seed = re.search(r'data-copy="([A-Z2-7 ]{39})"', page.text)
    assert seed is not None
    assert '<svg class="qr"' in page.text
    return Phone(seed[1].replace(" ", ""))


async def set_up_app(client: httpx.AsyncClient, clock: Any) -> tuple[Phone, list[str]]:
    """Set an app up; returns it and the recovery codes shown (none where the person has some). The clock moves on a step."""
    phone = await begin_app(client)
    answer = await client.post("/security/two-step/app/confirm", data={"code": phone.show(clock())}, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    clock.advance(seconds=30)
    return phone, read_codes(answer)


def read_codes(answer: httpx.Response) -> list[str]:
    return re.findall(r"<code>([0-9a-z]{4}(?:-[0-9a-z]{4}){3})</code>", answer.text)


async def ask(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    """Fetch the options of a passkey as the page's module does."""
    answer = await client.post(path, headers={"Accept": "application/problem+json, application/json"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def add_passkey(client: httpx.AsyncClient, device: Authenticator, name: str = "Laptop") -> httpx.Response:
    made = device.create(await ask(client, "/security/passkeys/options"))
    return await client.post("/security/passkeys", data={"name": name, "passkey": made})


async def confirm(client: httpx.AsyncClient, **fields: str) -> httpx.Response:
    """Give a fresh proof: the password, and whatever else is said."""
    return await client.post("/security/confirm", data={"confirm_password": PASSWORD, **fields})
