"""What the routes of alerts share: the services on this request's one transaction."""

from typing import Annotated

from fastapi import Depends, Request

from app.alerts.channels import Channels, ChannelTools
from app.alerts.inbox import Inbox
from app.alerts.preferences import Preferences
from app.alerts.rounds import make_host_rule
from app.db import SessionDep


def open_inbox(request: Request, session: SessionDep) -> Inbox:
    return Inbox(session, exchanges=request.app.state.exchanges, clock=request.app.state.clock)


def open_channels(request: Request, session: SessionDep) -> Channels:
    state = request.app.state
    tools = ChannelTools(state.vault, state.outlets, make_host_rule(state.settings), state.mailer.is_on)
    return Channels(session, tools=tools, clock=state.clock)


def open_preferences(request: Request, session: SessionDep) -> Preferences:
    state = request.app.state
    return Preferences(session, clock=state.clock, settings=state.settings, mail_is_on=state.mailer.is_on)


InboxDep = Annotated[Inbox, Depends(open_inbox)]
ChannelsDep = Annotated[Channels, Depends(open_channels)]
PreferencesDep = Annotated[Preferences, Depends(open_preferences)]
