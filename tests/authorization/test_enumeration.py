"""Nobody learns from outside who has an account: the answers are alike, byte for byte, with everything switched on."""

from typing import Any

import httpx
import pytest

from tests.accounts.doors import PASSWORD
from tests.authorization.test_matrix import comparable
from tests.authorization.world import BROWSER, World

NAMES = {
    "alice": "has an authenticator app and a passkey",
    "carol": "has a password only",
    "sammy": "does not exist",
    "dora": "was disabled",
    "olga": "is an operator",
}


async def ask_all(world: World, method: str, path: str, **form: str) -> dict[str, tuple[Any, ...]]:
    """Send the same about each of them; returns what can be seen of each answer, the asker's own words taken out."""
    seen = {}
    for name in NAMES:
        email = f"{name}@example.org"
        answer = await world.ask(method, path, headers=BROWSER, data={**form, "email": email})
        del answer.headers["content-length"]  # the form is filled in again with the asker's own e-mail
        seen[name] = comparable(answer, email)
        await world.restore()
    return seen


@pytest.mark.parametrize("password", ["not the password at all", "", PASSWORD[:-1], PASSWORD.upper()])
async def test_a_wrong_password_is_answered_alike(world: World, password: str) -> None:
    seen = await ask_all(world, "POST", "/sign-in", password=password)
    assert seen["alice"][0] == 401
    assert {name for name, answer in seen.items() if answer != seen["sammy"]} == set()


async def test_the_right_password_of_a_disabled_person_is_a_wrong_one(world: World) -> None:
    wrong = await ask_all(world, "POST", "/sign-in", password="not the password at all")
    right = await ask_all(world, "POST", "/sign-in", password=PASSWORD)
    assert right["dora"] == wrong["sammy"]
    assert right["sammy"] == wrong["sammy"]
    assert right["carol"][0] == 303, "the control: it is the right one"


async def test_asking_for_a_passkey_names_nobody(world: World) -> None:
    """Its options are made without an e-mail: there is nothing to ask about a person."""
    answers: list[httpx.Response] = []
    for name in NAMES:
        form = {"email": f"{name}@example.org"}
        answers.append(await world.ask("POST", "/sign-in/passkey/options", headers=BROWSER, data=form))
    told = [{key: value for key, value in answer.json().items() if key != "challenge"} for answer in answers]
    assert all(one == told[0] for one in told)
    assert not told[0].get("allowCredentials")


@pytest.mark.parametrize("path", ["/forgot", "/reset", "/factor-reset", "/sign-in/code"])
async def test_other_public_forms_are_alike_too(world: World, path: str) -> None:
    seen = await ask_all(world, "POST", path, token="made-up", code="000000", password="x", new_password="x")
    assert {name for name, answer in seen.items() if answer != seen["sammy"]} == set()
