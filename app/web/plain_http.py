"""Where Keydeck was started beyond loopback without https: no exchange key may be typed in or sent (decision 13)."""

from fastapi import Request

from app.web.errors import Problem


async def refuse_plain_http(request: Request) -> None:
    """Stand before every route that shows a form for an exchange key or takes one. Raises Problem."""
    if request.app.state.settings.is_plain_beyond_loopback:
        raise Problem(
            "plain_http",
            status=403,
            title="Connecting is switched off over plain http",
            detail="This server is reached over a network without https: a key sent to it could be read on the way.",
            who_acts="operator",
            next_step="Put https in front and set KEYDECK_PUBLIC_URL to its address. Stored keys keep being checked meanwhile.",
        )
