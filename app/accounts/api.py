"""JSON about the asker: whose token this is and what it may do."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from app.accounts.current_user import ApiUser
from app.accounts.roles import Role, Scope, list_scopes_for
from app.web.documents import describe_refusals

router = APIRouter(prefix="/api/v1", tags=["account"])


class Account(BaseModel):
    """The account a token belongs to, and the scopes that count: those of the token that the account's roles allow."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "usr_4k0q7d2m9x1c8v5b3n6z0a2s4f",
                    "email": "trader@example.org",
                    "roles": ["trader"],
                    "scopes": ["status:read", "balances:read"],
                }
            ]
        }
    )

    id: str
    email: str
    roles: list[Role]
    scopes: list[Scope]


@router.get("/account", responses=describe_refusals(401))
async def get_account(principal: ApiUser) -> Account:
    """Say whose token this is and what it may do."""
    allowed = list_scopes_for(principal.roles)
    scopes = [scope for scope in allowed if principal.scopes is None or scope in principal.scopes]
    return Account(
        id=principal.user_id, email=principal.email, roles=[role for role in Role if role in principal.roles], scopes=scopes
    )
