"""The OpenAPI document is complete: every call says who may make it, how it refuses, and shows an example."""

import re
from typing import Any

import pytest

from app.main import create_app
from app.settings import Settings

DOCUMENT: dict[str, Any] = create_app(Settings()).openapi()
CALLS = [(verb, path) for path, verbs in DOCUMENT["paths"].items() for verb in verbs]


def resolve(schema: dict[str, Any]) -> str:
    """Return the text of a schema with the schemas it refers to, two levels deep."""
    text = str(schema)
    for _ in range(2):
        names = set(re.findall(r"#/components/schemas/(\w+)", text))
        text += "".join(str(DOCUMENT["components"]["schemas"][name]) for name in names)
    return text


@pytest.mark.parametrize(("verb", "path"), CALLS)
def test_a_call_is_fully_described(verb: str, path: str) -> None:
    call = DOCUMENT["paths"][path][verb]
    assert path.startswith("/api/v1/"), "pages do not belong in the API's document"
    assert call["security"]
    assert call["description"]
    assert "401" in call["responses"]
    for status, response in call["responses"].items():
        kinds = set(response.get("content", {}))
        assert kinds == ({"application/problem+json"} if int(status) >= 400 else kinds & {"application/json"}), status
    for kind in ("requestBody", "200", "201"):
        body = call.get("requestBody") if kind == "requestBody" else call["responses"].get(kind)
        if body:
            schema = body["content"]["application/json"]
            assert "'example" in resolve(schema), f"{kind} shows no example"


def test_no_answer_describes_a_secret() -> None:
    answers = str([call["responses"] for verbs in DOCUMENT["paths"].values() for call in verbs.values()])
    assert "secret_key" not in answers.replace("'examples': ['secret_key']", "")
    assert not [name for name in DOCUMENT["components"]["schemas"] if "__" in name], "two models share a name"
