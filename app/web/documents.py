"""How refusals look in the OpenAPI document: one shape for every call."""

from typing import Any

from pydantic import BaseModel, Field

_WORDS = {
    401: "No valid token.",
    403: "The token's scope or the role does not allow this.",
    404: "There is nothing at this address.",
    422: "A parameter cannot be used.",
    429: "Too many of these calls; `Retry-After` says when the next one is taken.",
}


class ProblemSummary(BaseModel):
    """A refusal (`application/problem+json`): what is wrong, who must act, what to do next."""

    type: str = Field(examples=["urn:keydeck:problem:forbidden"])
    title: str = Field(examples=["You may not open this"])
    status: int = Field(examples=[403])
    code: str = Field(description="Stable word for programs.", examples=["forbidden"])
    detail: str
    who_acts: str = Field(examples=["trader"])
    next_step: str
    request_id: str = Field(examples=["req_0123456789abcdefghjkmnpqrs"])


def describe_refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of the refusals a call may give."""
    content = {"application/problem+json": {"schema": ProblemSummary.model_json_schema()}}
    return {status: {"description": _WORDS[status], "content": content} for status in statuses}
