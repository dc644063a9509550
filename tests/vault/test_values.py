"""Sealed values open for their owner and purpose only, go with their owner, and are seen by the doctor and at start."""

import pytest
from sqlalchemy import delete, update

from app.accounts.models import User
from app.clock import Clock
from app.db import Database
from app.masking import Secret
from app.vault.boot import VaultRefusal, open_known_vault, open_vault
from app.vault.doctor import examine_vault
from app.vault.envelope import Vault, VaultError
from app.vault.models import SealedValue
from app.vault.values import SealedValues
from tests.vault.rows import add_user

SEED = {"seed": Secret("JBSWY3DPEHPK3PXP")}


@pytest.fixture
async def vault(database: Database, clock: Clock, tmp_path) -> Vault:
    opened = await open_vault(database, keyring_path=tmp_path / "keyring.json", clock=clock)
    await add_user(database)
    return opened


async def put(database: Database, vault: Vault, clock: Clock, *, owner_id: str | None = "usr_1") -> str:
    async with database.write() as session:
        return await SealedValues(session, vault=vault, clock=clock).put("totp", owner_id=owner_id, values=SEED)


async def open_it(database: Database, vault: Vault, clock: Clock, value_id: str, **where) -> dict[str, Secret]:
    async with database.read() as session:
        return await SealedValues(session, vault=vault, clock=clock).open(
            value_id, **{"purpose": "totp", "owner_id": "usr_1", **where}
        )


async def test_what_was_put_opens_for_its_owner_and_purpose_only(database: Database, vault: Vault, clock: Clock) -> None:
    value_id = await put(database, vault, clock)
    assert await open_it(database, vault, clock, value_id) == SEED
    for wrong in ({"purpose": "webhook"}, {"owner_id": "usr_2"}, {"owner_id": None}):
        with pytest.raises(VaultError):
            await open_it(database, vault, clock, value_id, **wrong)


async def test_a_value_of_the_installation_has_no_owner(database: Database, vault: Vault, clock: Clock) -> None:
    value_id = await put(database, vault, clock, owner_id=None)
    assert await open_it(database, vault, clock, value_id, owner_id=None) == SEED
    with pytest.raises(VaultError):
        await open_it(database, vault, clock, value_id)


@pytest.mark.parametrize("change", [{"purpose": "webhook"}, {"owner_id": None}, {"kid": "k2019z"}])
async def test_a_row_put_to_another_use_does_not_open(database: Database, vault: Vault, clock: Clock, change) -> None:
    """Whoever can write the database cannot hand one person's factor to another, or use it for something else."""
    value_id = await put(database, vault, clock)
    async with database.write() as session:
        await session.execute(update(SealedValue).values(**change))
    with pytest.raises(VaultError):
        await open_it(database, vault, clock, value_id, **{key: value for key, value in change.items() if key != "kid"})
    report = await examine_vault(database, vault)
    assert not report.is_sound
    assert report.values_unopened == (value_id,)


async def test_records_swapped_between_rows_do_not_open(database: Database, vault: Vault, clock: Clock) -> None:
    first, second = await put(database, vault, clock), await put(database, vault, clock)
    async with database.write() as session:
        row = await session.get_one(SealedValue, first)
        await session.execute(
            update(SealedValue).where(SealedValue.id == second).values(wrapped_key=row.wrapped_key, fields=row.fields)
        )
    assert await open_it(database, vault, clock, first) == SEED
    with pytest.raises(VaultError):
        await open_it(database, vault, clock, second)


async def test_a_value_goes_with_its_owner_and_when_it_is_deleted(database: Database, vault: Vault, clock: Clock) -> None:
    kept, erased = await put(database, vault, clock), await put(database, vault, clock)
    async with database.write() as session:
        values = SealedValues(session, vault=vault, clock=clock)
        await values.delete(erased, owner_id="usr_1")
        await values.delete(kept, owner_id="usr_2")
    assert (await examine_vault(database, vault)).values_opened == 1
    async with database.write() as session:
        await session.execute(delete(User))
    assert (await examine_vault(database, vault)).values_opened == 0


async def test_a_start_demands_the_key_that_sealed_a_value(database: Database, vault: Vault, clock: Clock, tmp_path) -> None:
    """Even with no credential stored, a ring without that key is the wrong ring."""
    await put(database, vault, clock)
    async with database.write() as session:
        await session.execute(update(SealedValue).values(kid="k2019z"))
    with pytest.raises(VaultRefusal, match="k2019z is missing"):
        await open_known_vault(database, keyring_path=tmp_path / "keyring.json")
