"""Tokens that open doors: sessions, API tokens, one-time links. 256 random bits each; only their SHA-256 is stored."""

import hashlib
import secrets

from starlette.responses import Response

from app.masking import Secret

API_TOKEN_PREFIX = "kd_"  # noqa: S105  # the public part, by which people and scanners know a token
_RANDOM_BYTES = 32
_LONGEST = 200  # characters; what is longer was never ours and is not hashed


def create_token() -> Secret:
    """Return a fresh token of 43 URL-safe characters (256 random bits)."""
    return Secret(secrets.token_urlsafe(_RANDOM_BYTES))


def create_api_token() -> Secret:
    """Return a fresh personal API token, `kd_` and 43 URL-safe characters."""
    return Secret(API_TOKEN_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES))


def hash_token(token: Secret) -> str:
    """Return what is stored in a token's place. The token is random, so neither salt nor slow hashing is needed."""
    return hashlib.sha256(token.reveal()[:_LONGEST].encode("utf-8", "surrogatepass")).hexdigest()


def hash_challenge(challenge: bytes) -> str:
    """Return what is stored in the place of a passkey's challenge, which is random as a token is."""
    return hashlib.sha256(challenge).hexdigest()


def looks_like_api_token(token: Secret) -> bool:
    return token.reveal().startswith(API_TOKEN_PREFIX)


def show_once(token: Secret) -> str:
    """Return the plain token for the one answer that hands it to its owner."""
    return token.reveal()


def build_link(public_url: str, path: str, *, token: Secret) -> str:
    """Return the one-time link that carries the token; the page's forms hand it on, no log holds it."""
    return f"{public_url}{path}?token={token.reveal()}"


def session_cookie_name(*, uses_https: bool) -> str:
    """Return the cookie's name; under https the prefix makes browsers enforce Secure, this host and the root path."""
    return "__Host-keydeck_session" if uses_https else "keydeck_session"


def set_session_cookie(response: Response, token: Secret, *, uses_https: bool) -> None:
    """Hand the browser its session. It ends with the browser; the server ends it earlier if idle or too old."""
    response.set_cookie(
        session_cookie_name(uses_https=uses_https), token.reveal(), path="/", secure=uses_https, httponly=True, samesite="lax"
    )


def clear_session_cookie(response: Response, *, uses_https: bool) -> None:
    """Take the session from the browser, with all it kept of our pages. Not "cookies": that reaches to neighbouring sites."""
    name = session_cookie_name(uses_https=uses_https)
    response.delete_cookie(name, path="/", secure=uses_https, httponly=True, samesite="lax")
    response.headers["Clear-Site-Data"] = '"cache", "storage"'


def device_cookie_name(*, uses_https: bool) -> str:
    """Return the name of the cookie by which a browser that signed in before is known again; it opens nothing."""
    return "__Host-keydeck_device" if uses_https else "keydeck_device"


def set_device_cookie(response: Response, token: Secret, *, uses_https: bool, lasts_seconds: int) -> None:
    """Hand the browser what it is known by: strangers' tries cannot use up the tries of a browser that has one."""
    response.set_cookie(
        device_cookie_name(uses_https=uses_https),
        token.reveal(),
        max_age=lasts_seconds,
        path="/",
        secure=uses_https,
        httponly=True,
        samesite="lax",
    )


def pending_cookie_name(*, uses_https: bool) -> str:
    """Return the name of the cookie that waits for a second factor; it is no session and opens nothing else."""
    return "__Host-keydeck_pending" if uses_https else "keydeck_pending"


def set_pending_cookie(response: Response, token: Secret, *, uses_https: bool, lasts_seconds: int) -> None:
    """Hand the browser its half-open sign-in."""
    response.set_cookie(
        pending_cookie_name(uses_https=uses_https),
        token.reveal(),
        max_age=lasts_seconds,
        path="/",
        secure=uses_https,
        httponly=True,
        samesite="lax",
    )


def clear_pending_cookie(response: Response, *, uses_https: bool) -> None:
    name = pending_cookie_name(uses_https=uses_https)
    response.delete_cookie(name, path="/", secure=uses_https, httponly=True, samesite="lax")
