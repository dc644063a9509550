"""The theme switch: a cookie the server reads, so the first paint is right and no script is needed."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse

from app.web.errors import Problem
from app.web.forms import read_form
from app.web.pages import THEME_COOKIE, THEMES

router = APIRouter(include_in_schema=False)
_YEAR_SECONDS = 365 * 24 * 3600


@router.post("/theme")
async def choose_theme(request: Request) -> RedirectResponse:
    """Keep the choice for a year and go back to the page it was made on. Raises Problem for an unknown theme."""
    form = await read_form(request)
    theme = form.get("theme", "")
    if theme not in THEMES:
        raise Problem("invalid_input", status=400, title="There is no such theme", next_step="Choose system, light or dark.")
    response = RedirectResponse(pick_local_path(form.get("back", "")), status_code=303)
    response.set_cookie(
        THEME_COOKIE,
        theme,
        max_age=_YEAR_SECONDS,
        httponly=True,
        samesite="lax",
        secure=request.app.state.settings.uses_https,
    )
    return response


def pick_local_path(text: str) -> str:
    """Return the path if it leads to a page of this site, else `/`.

    Browsers read a backslash as a slash and skip control characters: both can turn a path into another site's address.
    """
    is_local = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable() and text.isascii()
    return text if is_local else "/"
