"""No password and no token is in any stored byte, log line or later page."""

import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.accounts.roles import Role
from app.accounts.setup import ensure_setup_link
from app.models import TABLES
from tests.accounts.authenticator import Authenticator
from tests.accounts.doors import COOKIE, add_person, find_copied, sign_in
from tests.accounts.factors import ask, set_up_app

CANARIES = ("canary-first-password", "canary-second-password", "canary-wrong-password")


async def test_nothing_that_opens_a_door_is_kept_or_logged(
    app: Any, client: httpx.AsyncClient, clock: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    first, second, wrong = CANARIES
    link = await ensure_setup_link(app.state.database, clock=app.state.clock, public_url="http://127.0.0.1:8000")
    assert link is not None
    setup_token = link.split("token=")[1]
    form = {"email": "first@example.org", "token": setup_token}
    await client.post("/setup", data={**form, "password": "canary"})
    made = await client.post("/setup", data={**form, "password": first})
    found = [setup_token, made.cookies[COOKIE], made.cookies["keydeck_device"], *CANARIES]
    found.append(find_copied((await client.post("/people/invitations", data={"role": "trader"})).text).split("token=")[1])
    found.append(find_copied((await client.post("/security/tokens", data={"name": "bot", "scope": "status:read"})).text))
    await client.get("/api/v1/account", headers={"Authorization": f"Bearer {found[-1]}"})
    await client.post("/security/password", data={"current_password": wrong, "new_password": second})
    await client.post("/security/password", data={"current_password": first, "new_password": second})
    phone, codes = await set_up_app(client, clock)
    found += [phone.seed, *codes, *(code.replace("-", "") for code in codes)]
    device = Authenticator()
    challenge = await ask(client, "/security/passkeys/options")
    found.append(challenge["challenge"])
    await client.post("/security/passkeys", data={"name": "Laptop", "passkey": device.create(challenge)})
    await client.post("/sign-out")
    await sign_in(client, "first@example.org", wrong)
    found.append((await sign_in(client, "first@example.org", second)).cookies["keydeck_pending"])
    await client.post("/sign-in/code", data={"code": codes[0]})
    found.append(client.cookies[COOKIE])
    await ask(client, "/sign-in/passkey/options")
    control = await add_person(app, "control-person@example.org", Role.TRADER)
    found.append(find_copied((await client.post(f"/people/{control.id}/reset-link")).text).split("token=")[1])

    pages = "".join(
        [(await client.get(path)).text for path in ("/security", "/security/two-step", "/people", "/activity", "/sign-in")]
    )
    stored = await dump(app) + read_files(tmp_path)
    logged = caplog.text + "".join(
        str(record.__dict__) for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))
    )
    assert b"control-person@example.org" in stored
    for secret in found:
        assert len(secret) > 10
        assert secret.encode() not in stored
        assert secret not in pages
        lines = [line for line in logged.splitlines() if secret in line and "HTTP Request" not in line]
        assert not lines


def read_files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def dump(app: Any) -> bytes:
    """Return every row of every table as bytes, on either database."""
    rows = []
    async with app.state.database.connect() as connection:
        for table in TABLES:
            rows += (await connection.exec_driver_sql(f"SELECT * FROM {table.__tablename__}")).all()
    return repr(rows).encode()
