"""Refuses to serve in ways that leak: each has its one line, which names the setting and how to repair it (decision 13)."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from app.commands.console import EXIT_CONFIGURATION, fail
from app.masking import Secret
from app.settings import PREFIX, Settings, is_loopback

SAMPLE_WORDS = re.compile(
    "change(me|this|it)|replace(me|this|it)|your|my|secret|token|password|passwort|passw0rd|key|sample|example|test|dummy|todo"
)
_FILLING = re.compile(r"x|\d{1,4}(?!\d)")  # what people put around such words; a longer number may well be drawn
_FEWEST_CHARACTERS = 4  # different ones: "aaaaaaaa", "12121212" and "111222333" were typed, never drawn
_PYTHON_DEBUG = "PYTHONASYNCIODEBUG"


def refuse_unsafe_start(settings: Settings, *, listens: bool = True) -> None:
    """End with one line and exit code 78 when running with these settings would be unsafe. A worker listens to nobody."""
    danger = find_danger(settings, environ=os.environ, is_dev_mode=sys.flags.dev_mode, listens=listens)
    if danger is not None:
        fail(danger, exit_code=EXIT_CONFIGURATION)


def find_danger(settings: Settings, *, environ: Mapping[str, str], is_dev_mode: bool, listens: bool = True) -> str | None:
    """Return the line that says what is unsafe and what to do, None when nothing is."""
    reach = settings if listens else settings.model_copy(update={"host": "127.0.0.1"})
    return (
        (_find_plain_http(settings) if listens else None)
        or _find_public_sandbox(settings)
        or _find_debugging(reach, environ=environ, is_dev_mode=is_dev_mode)
        or _find_sample_secret(settings)
    )


def _find_plain_http(settings: Settings) -> str | None:
    if not settings.is_plain_beyond_loopback or settings.allow_plain_http == "on":
        return None
    where = (
        f"{PREFIX}HOST={settings.host} listens beyond this machine"
        if not is_loopback(settings.host)
        else f"{PREFIX}PUBLIC_URL is another machine's"
    )
    return (
        f"{where}, and {PREFIX}PUBLIC_URL is not https: set it to the https:// address of the proxy in front "
        f"({PREFIX}ALLOW_PLAIN_HTTP=on starts all the same, and switches connecting off)"
    )


def _find_public_sandbox(settings: Settings) -> str | None:
    if settings.sandbox == "off" or not settings.is_public:
        return None
    return (
        f"{PREFIX}SANDBOX=on with a public {PREFIX}PUBLIC_URL: anyone could connect a simulated key and take it for a real one; "
        f"set {PREFIX}SANDBOX=off, or open the sandbox on this machine only"
    )


def _find_debugging(settings: Settings, *, environ: Mapping[str, str], is_dev_mode: bool) -> str | None:
    if is_loopback(settings.host) and not settings.is_public:
        return None
    if settings.log_level == "DEBUG":
        return f"{PREFIX}LOG_LEVEL=DEBUG beyond this machine: debug lines are for development only; set {PREFIX}LOG_LEVEL=INFO"
    if is_dev_mode or environ.get(_PYTHON_DEBUG):
        return f"Python's development mode beyond this machine: start without -X dev, PYTHONDEVMODE and {_PYTHON_DEBUG}"
    return None


def _find_sample_secret(settings: Settings) -> str | None:
    for name, secret in _list_secrets(settings):
        if is_sample(secret):
            return f"{PREFIX}{name} holds a sample or a value anybody would try: set a random one of your own"
    return None


def is_sample(secret: Secret) -> bool:
    """Tell whether the secret is nothing but words of examples and short numbers, or has next to no different characters."""
    text = re.sub(r"[\W_]", "", secret.reveal().lower())
    left, words = SAMPLE_WORDS.subn(" ", text)
    is_worded = words > 0 and not _FILLING.sub("", left).strip()
    return bool(text) and (is_worded or len(set(text)) < _FEWEST_CHARACTERS)


def _list_secrets(settings: Settings) -> Iterator[tuple[str, Secret]]:
    """List every secret among the settings: the value itself, and the password in one that is a URL."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Secret):
            yield name.upper(), value
            yield name.upper(), _read_password(value)


def _read_password(url: Secret) -> Secret:
    try:
        return Secret(urlsplit(url.reveal()).password or "")
    except ValueError:
        return Secret("")
