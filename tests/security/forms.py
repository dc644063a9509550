"""Finds every form of the product in its own pages, and makes up posts to them that no browser would send."""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from urllib.parse import urlencode, urlsplit

import httpx
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.pages import Form, Page

EXTRAS = ("", "", '; filename="a.txt"', "; filename*=utf-8''%e2%82%ac", "\r\nContent-Type: text/html; charset=utf-7")
ALIEN_KINDS = (
    "application/json",
    "text/plain",
    "text/html",
    "application/x-www-form-urlencoded; charset=utf-16",
    "application/x-www-form-urlencoded;;;",
    "multipart/form-data",
    'multipart/form-data; boundary=""',
    "multipart/form-data; boundary=\t",
    "multipart/mixed; boundary=b",
    "application/octet-stream",
    "application/csp-report",
    "é",
    "",
)
# fmt: off
TRAPS = (
    "", "0", "-1", "on", "yes", "null", "undefined", "NaN", "1e999", "9" * 400, "0x41", "true", "[]", "{}", "'", '"', "\\",
    "' OR 1=1 --", "../../etc/passwd", "%00", "%", "%zz", "\x00", "\x00" * 50, "\r\nX: y", "\x1b[2J", "\x7f", "\u202e",
    "\u200b", "\ufeff", "\ud7ff", "\U0010ffff", "🙂" * 50, "ﷺ" * 100, "a\u0301" * 200, "İı", "ß", "//evil.example",
    "javascript:alert(1)", "{{7*7}}", "${7*7}", "<b>", "crd_", "usr_0123456789abcdefghjkmnpqrs", "a@b",
    "a" * 5_000 + "@example.org", " " * 1_000, "\n" * 1_000,
)
# fmt: on


@dataclass(frozen=True, slots=True)
class FoundForm:
    """A form: where it is sent, and the names and values the page puts in."""

    action: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Post:
    """One post as it goes out."""

    action: str
    content: bytes
    kind: str

    def describe(self) -> str:
        return f"POST {self.action} as {self.kind!r} with {self.content[:300]!r} ({len(self.content)} bytes)"


async def find_forms(client: httpx.AsyncClient, starts: Iterable[str], *, pages: int = 150) -> dict[str, FoundForm]:
    """Follow every link of our own from the starts on; returns the forms that are posted, by their address."""
    forms: dict[str, FoundForm] = {}
    waiting, seen = list(starts), set()
    while waiting and len(seen) < pages:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        answer = await client.get(path, follow_redirects=True)
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        page = Page(answer)
        for element in page.find(tag="form", hidden=True):
            form = Form(element)
            if form.method == "post":
                fields = dict.fromkeys(one.attributes["name"] for one in element.walk() if one.attributes.get("name"))
                forms[form.action] = FoundForm(form.action, tuple((name, form.values.get(name, "")) for name in fields))
        links = [one.attributes["href"] for one in page.find(tag="a", href="*", hidden=True)]
        waiting += [link.partition("#")[0] for link in links if link.startswith("/") and not urlsplit(link).netloc]
    return forms


def draw_texts(number: int, *, count: int) -> list[str]:
    """Let hypothesis make up texts: any letters at all, short and long; the traps and some huge ones are among them."""
    drawn: list[str] = []
    anything = st.one_of(st.text(max_size=60), st.text(st.characters(codec="utf-8"), max_size=200))

    @seed(number)
    @settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(anything)
    def collect(text: str) -> None:
        drawn.append(text)

    collect()
    huge = [(text or "x") * (70_000 // max(1, len(text.encode("utf-8", "replace")))) for text in drawn[:: max(1, count // 12)]]
    return [*drawn, *TRAPS * 5, *huge]


def make_posts(forms: dict[str, FoundForm], *, number: int, count: int) -> list[Post]:
    """Return posts to every form in turn: right ones, spoilt ones, and such that are no form at all."""
    chance = Random(number)
    texts = draw_texts(number, count=400)
    ordered = sorted(forms.values(), key=lambda form: form.action)
    makers = (_write_urlencoded, _write_urlencoded, _write_multipart, _write_alien)
    return [chance.choice(makers)(ordered[at % len(ordered)], texts, chance) for at in range(count)]


def _spoil(form: FoundForm, texts: list[str], chance: Random) -> list[tuple[str, str]]:
    """Keep, spoil, double or leave out each field, in any order, with fields that are not the form's among them."""
    pairs: list[tuple[str, str]] = []
    for name, value in form.fields:
        fate = chance.random()
        if fate < 0.3:
            pairs.append((name, value))
        elif fate < 0.75:
            pairs.append((name, chance.choice(texts)))
        elif fate < 0.9:
            pairs += [(name, chance.choice(texts)) for _ in range(chance.randint(2, 5))]
    strange = [*texts[:20], "user_id", "roles", "id", "_method"]
    pairs += [(chance.choice(strange), chance.choice(texts)) for _ in range(chance.choice((0, 0, 1, 3, 120)))]
    chance.shuffle(pairs)
    return pairs


def _write_urlencoded(form: FoundForm, texts: list[str], chance: Random) -> Post:
    content = urlencode(_spoil(form, texts, chance), errors="surrogatepass").encode()
    return Post(form.action, content, "application/x-www-form-urlencoded")


def _write_multipart(form: FoundForm, texts: list[str], chance: Random) -> Post:
    more = chance.choice(EXTRAS)
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'.encode("utf-8", "replace")
        for name, value in _spoil(form, texts, chance)
    ]
    return Post(form.action, b"".join(parts) + b"--b--\r\n", "multipart/form-data; boundary=b")


def _write_alien(form: FoundForm, texts: list[str], chance: Random) -> Post:
    kind = chance.choice((*ALIEN_KINDS, "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"))
    bodies = (chance.randbytes(400), chance.choice(texts).encode("utf-8", "replace"), b'{"email": ["x"]}', b"a=b" * 30_000)
    return Post(form.action, chance.choice(bodies), kind)
