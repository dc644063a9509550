"""Every statement about the browsers and networks a person signed in from before."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, exists, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.attempt_models import FamiliarPlace
from app.identifiers import create_id

MOST_PLACES = 20  # of a kind, per person; the one used longest ago gives way


async def list_familiar(session: AsyncSession, marks: Sequence[str], *, user_id: str, since: datetime) -> set[str]:
    """Return those of the marks under which this person signed in since then."""
    query = select(FamiliarPlace.mark).where(
        FamiliarPlace.user_id == user_id, FamiliarPlace.mark.in_(marks), FamiliarPlace.last_used_at > since
    )
    return set((await session.execute(query)).scalars())


async def is_issued(session: AsyncSession, mark: str) -> bool:
    """Tell whether the mark is one that this server gave to a browser, for whomever it signed in then."""
    return bool((await session.execute(select(exists().where(FamiliarPlace.mark == mark)))).scalar_one())


async def note_place(session: AsyncSession, mark: str, *, user_id: str, kind: str, now: datetime, since: datetime) -> None:
    """Write down that this person signed in from there; places not used since then are forgotten."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(FamiliarPlace).values(id=create_id("plc"), user_id=user_id, kind=kind, mark=mark, last_used_at=now)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[FamiliarPlace.user_id, FamiliarPlace.mark], set_={"last_used_at": statement.excluded.last_used_at}
        )
    )
    newest = (
        select(FamiliarPlace.id)
        .where(FamiliarPlace.user_id == user_id, FamiliarPlace.kind == kind)
        .order_by(FamiliarPlace.last_used_at.desc(), FamiliarPlace.id)
        .limit(MOST_PLACES)
    )
    await session.execute(
        delete(FamiliarPlace)
        .where(FamiliarPlace.user_id == user_id, FamiliarPlace.kind == kind)
        .where(or_(FamiliarPlace.id.not_in(newest), FamiliarPlace.last_used_at <= since))
        .execution_options(synchronize_session=False)
    )


async def forget_places(session: AsyncSession, *, user_id: str, keep: str = "") -> None:
    """Forget where this person signed in from, but for the one to keep."""
    await session.execute(
        delete(FamiliarPlace)
        .where(FamiliarPlace.user_id == user_id, FamiliarPlace.mark != keep)
        .execution_options(synchronize_session=False)
    )
