"""The letters Keydeck writes to people about their accounts: plain text, no secret but a one-time link to its owner."""

from app.mail import Mail

_CLOSE = "If this was not you, tell your operator now, and look at your activity: {public_url}/activity\n"


def write_reset(email: str, *, link: str, ip: str) -> Mail:
    """The one-time link somebody asked for on the sign-in page."""
    text = (
        f"Somebody, at the address {ip}, asked to choose a new password for your Keydeck account.\n\n"
        f"If it was you, open this link within one hour. It works once:\n\n{link}\n\n"
        "You will still be asked for your second factor, if you have set one up.\n"
        "If it was not you, nothing has changed and nothing needs to be done.\n"
    )
    return Mail(email, "Choose a new Keydeck password", text)


def write_password_reset(email: str, *, public_url: str) -> Mail:
    """Word that a password was reset by link."""
    text = "The password of your Keydeck account was reset by a one-time link, and all sessions were ended.\n\n"
    return Mail(email, "Your Keydeck password was reset", text + _CLOSE.format(public_url=public_url))


def write_factors_removed(email: str, *, public_url: str) -> Mail:
    """Word that second factors were removed by link and password."""
    text = "The second factors of your Keydeck account were removed, and all sessions were ended.\n\n"
    return Mail(email, "Your Keydeck second factors were removed", text + _CLOSE.format(public_url=public_url))


def write_link_made(email: str, *, what: str, public_url: str) -> Mail:
    """Word that an operator made a one-time link for this person."""
    text = f"An operator made a one-time link for your Keydeck account, with which you can {what}.\n\n"
    return Mail(email, "A one-time link for your Keydeck account", text + _CLOSE.format(public_url=public_url))
