"""Renders pages: one Jinja environment with escaping on, undefined names refused, and the filters every page shares."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app import __version__
from app.clock import Clock
from app.settings import Settings
from app.web import formats
from app.web.icons import build_sprite, load_symbols
from app.web.navigation import list_groups

THEMES = ("system", "light", "dark")
THEME_COOKIE = "keydeck_theme"
STATIC_PREFIX = "/static"
_SPRITE_PLACE = "<!--sprite-->"


class Pages:
    """Turns a template and its values into an answer. Made once by create_app().

    `has_switches` tells whether the server has the sandbox's own pages, which then stand in the navigation.
    """

    def __init__(
        self, *, settings: Settings, clock: Clock, templates_dir: Path, static_dir: Path, has_switches: bool = False
    ) -> None:
        self.clock = clock
        self._has_switches = has_switches
        self.static_version = hash_folder(static_dir)
        self._symbols = load_symbols(templates_dir / "components" / "icons.svg")
        self.environment = _build_environment(templates_dir, clock)
        self.environment.globals |= {
            "static": self.locate_static,
            "integrity": Integrity(static_dir).read,
            "settings_public": {
                "host": urlsplit(settings.public_url).netloc,
                "public_url": settings.public_url,
                "sandbox": settings.sandbox == "on",
                "plain_http": settings.is_plain_beyond_loopback,
                "version": __version__,
            },
        }

    def locate_static(self, path: str) -> str:
        """Return the address of a static file under the folder's version, so it may be cached for good.

        Modules that import their neighbours by relative path get the same version without being rewritten.
        """
        return f"{STATIC_PREFIX}/{self.static_version}/{path}"

    def list_icons(self) -> list[str]:
        """Return the names of all icons."""
        return sorted(self._symbols)

    def render(self, request: Request, template: str, *, status_code: int = 200, **context: Any) -> HTMLResponse:
        """Return the page. `context` are the template's own names; `nav_counts` puts numbers beside sidebar links."""
        return HTMLResponse(self.write(request, template, **context), status_code=status_code)

    def write(self, request: Request, template: str, **context: Any) -> str:
        """Return the page's HTML, with the icons it uses inlined."""
        viewer = getattr(request.state, "viewer", None)
        path = request.url.path
        roles = [str(role) for role in viewer.roles] if viewer is not None else []
        shared: dict[str, Any] = {
            "viewer": viewer,
            "theme": read_theme(request),
            "path": f"{path}?{request.url.query}" if request.url.query else path,
            "nav": list_groups(roles, path=path, has_sandbox=self._has_switches),
            "now": self.clock(),
        }
        context["nav_counts"] = {**getattr(request.state, "nav_counts", {}), **context.get("nav_counts", {})}
        html = self.environment.get_template(template).render({**shared, **context})
        return html.replace(_SPRITE_PLACE, build_sprite(html, self._symbols), 1)


class Integrity:
    """Tells what a script's bytes must come to, so that a browser runs no other. A file that changes is read again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[int, str]] = {}

    def read(self, path: str) -> str:
        """Return the value of the integrity attribute for a file below /static."""
        file = self._folder / path
        changed_at = file.stat().st_mtime_ns
        known = self._known.get(path)
        if known is None or known[0] != changed_at:
            digest = base64.b64encode(hashlib.sha384(file.read_bytes()).digest()).decode()
            known = self._known[path] = (changed_at, f"sha384-{digest}")
        return known[1]


def read_theme(request: Request) -> str:
    """Return the chosen theme; anything but a known one is `system`."""
    chosen = request.cookies.get(THEME_COOKIE, "system")
    return chosen if chosen in THEMES else "system"


def hash_folder(folder: Path) -> str:
    """Return `v` and 12 hex digits that change with any file below the folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return f"v{digest.hexdigest()[:12]}"


VERSIONED_PATH = re.compile(rf"{STATIC_PREFIX}/(v[0-9a-f]{{12}})(/.*)")


def _build_environment(templates_dir: Path, clock: Clock) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates_dir),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    times = formats.TimeFilters(clock)
    environment.filters |= {
        "ago": times.ago,
        "moment": times.moment,
        "day": times.day,
        "is_old": times.is_old,
        "amount": formats.write_amount,
        "money": formats.write_money,
        "duration": formats.write_duration,
        "plural": formats.write_count,
        "sentence": formats.write_sentence,
        "fingerprint": formats.write_fingerprint,
        "hyphens": formats.write_hyphens,
        "hue": formats.pick_hue,
    }
    return environment
