"""Sends letters about accounts after the answer has left, so that no answer tells by its time whether one was sent."""

import logging

from fastapi import Request

from app.accounts.letters import write_reset
from app.accounts.service import Accounts
from app.errands import Errands
from app.mail import Mail, Mailer, MailFailed
from app.web.errors import NotFound

_log = logging.getLogger(__name__)


def demand_mail(request: Request) -> None:
    """Raise NotFound unless the operator has set a mail server."""
    mailer: Mailer = request.app.state.mailer
    if not mailer.is_on:
        raise NotFound


def post(request: Request, letter: Mail) -> None:
    """Send a letter in the background, where a mail server is set. A failure is logged and changes nothing."""
    mailer: Mailer = request.app.state.mailer
    errands: Errands = request.app.state.errands
    if mailer.is_on:
        errands.start("a letter", lambda: _send(mailer, letter))


def post_reset_letter(request: Request, email: str, *, ip: str) -> None:
    """Look up whose address it is, make a link and send it, all in the background."""
    state = request.app.state

    async def work() -> None:
        async with state.database.write() as session:
            accounts = Accounts(session, clock=state.clock, passwords=state.passwords, settings=state.settings)
            issued = await accounts.make_letter_link(email)
        if issued is not None:
            await _send(state.mailer, write_reset(issued.email, link=issued.link, ip=ip))

    state.errands.start("a reset letter", work)


async def _send(mailer: Mailer, letter: Mail) -> None:
    try:
        await mailer.send(letter)
    except MailFailed as failed:
        _log.warning("a letter was not sent: %s", failed.reason)
