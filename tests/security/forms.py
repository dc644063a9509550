"""Finds every form of the product in its own pages, and makes up posts to them that no browser would send."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import httpx
from hypothesis import strategies as st

from tests.pages import Form, Page

LONGEST = 4_000
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


def make_posts(forms: dict[str, FoundForm]) -> st.SearchStrategy[list[Post]]:
    """Return a strategy of ten posts each: right ones, spoilt ones, and such that are no form at all."""
    return st.lists(st.one_of(_spoilt(forms), _spoilt(forms), _multipart(forms), _alien(forms)), min_size=10, max_size=10)


def _values() -> st.SearchStrategy[str]:
    huge = st.builds(lambda text, times: (text * times)[:70_000], st.text(min_size=1, max_size=10), st.integers(100, LONGEST))
    return st.one_of(st.sampled_from(TRAPS), st.text(max_size=60), st.text(st.characters(codec="utf-8"), max_size=200), huge)


def _pairs(form: FoundForm) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Each field kept, spoilt, doubled or left out, in any order, with fields that are not the form's among them."""
    kept = [
        st.one_of(st.just([(name, value)]), _values().map(lambda text, name=name: [(name, text)]), _doubled(name), st.just([]))
        for name, value in form.fields
    ]
    strange = st.lists(
        st.tuples(st.one_of(st.text(max_size=20), st.sampled_from(("user_id", "roles", "id", "_method"))), _values())
    )
    return st.tuples(*kept, strange).map(lambda parts: [pair for part in parts for pair in part]).flatmap(_shuffled)


def _doubled(name: str) -> st.SearchStrategy[list[tuple[str, str]]]:
    return st.lists(_values(), min_size=2, max_size=5).map(lambda values: [(name, value) for value in values])


def _shuffled(pairs: list[tuple[str, str]]) -> st.SearchStrategy[list[tuple[str, str]]]:
    return st.permutations(pairs) if len(pairs) < 20 else st.just(pairs)


def _forms(forms: dict[str, FoundForm]) -> st.SearchStrategy[FoundForm]:
    return st.sampled_from(sorted(forms.values(), key=lambda form: form.action))


def _spoilt(forms: dict[str, FoundForm]) -> st.SearchStrategy[Post]:
    def write(form: FoundForm, pairs: list[tuple[str, str]]) -> Post:
        return Post(form.action, urlencode(pairs, errors="surrogatepass").encode(), "application/x-www-form-urlencoded")

    return _forms(forms).flatmap(lambda form: _pairs(form).map(lambda pairs: write(form, pairs)))


def _multipart(forms: dict[str, FoundForm]) -> st.SearchStrategy[Post]:
    def write(form: FoundForm, pairs: list[tuple[str, str]], more: str) -> Post:
        parts = [
            f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode("utf-8", "replace")
            + value.encode("utf-8", "replace")
            + b"\r\n"
            for name, value in pairs
        ]
        return Post(form.action, b"".join(parts) + b"--b--\r\n", "multipart/form-data; boundary=b")

    extras = st.sampled_from(
        ("", "", '; filename="a.txt"', "; filename*=utf-8''%e2%82%ac", "\r\nContent-Type: text/html; charset=utf-7")
    )
    return _forms(forms).flatmap(lambda form: st.tuples(_pairs(form), extras).map(lambda drawn: write(form, *drawn)))


def _alien(forms: dict[str, FoundForm]) -> st.SearchStrategy[Post]:
    bodies = st.one_of(
        st.binary(max_size=400), st.text(max_size=100).map(str.encode), st.just(b'{"email": ["x"]}'), st.just(b"a=b" * 30_000)
    )
    kinds = st.sampled_from((*ALIEN_KINDS, "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"))
    return st.builds(lambda form, body, kind: Post(form.action, body, kind), _forms(forms), bodies, kinds)
