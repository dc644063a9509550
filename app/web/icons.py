"""The icon sprite: each page carries only the symbols it uses, inlined, so no icon costs a request."""

import re
from pathlib import Path

_SYMBOL = re.compile(r'<symbol id="i-([a-z-]+)".*?</symbol>', re.DOTALL)
_USED = re.compile(r'href="#i-([a-z-]+)"')


def load_symbols(path: Path) -> dict[str, str]:
    """Read the icon set: name to `<symbol>` element."""
    return {match[1]: match[0] for match in _SYMBOL.finditer(path.read_text(encoding="utf-8"))}


def build_sprite(html: str, symbols: dict[str, str]) -> str:
    """Return one hidden svg with the symbols the page uses. Raises KeyError for a name the icon set lacks."""
    used = sorted(set(_USED.findall(html)))
    return f'<svg class="sprite" hidden aria-hidden="true">{"".join(symbols[name] for name in used)}</svg>'
