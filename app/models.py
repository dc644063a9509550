"""Every table of every feature, so that migrations and start-up checks know them all."""

from app.accounts.factor_models import FactorTry, Passkey, PasskeyChallenge, PendingSignIn, RecoveryCode, TotpFactor
from app.accounts.models import ApiToken, Invitation, User, UserSession
from app.audit import AuditEvent
from app.credentials.models import Credential, CredentialBalances, CredentialSecret, KeyCheck
from app.db import Base
from app.vault.models import SealedValue, VaultCanary, VaultInstance

__all__ = ["TABLES", "Base"]

TABLES = (
    ApiToken,
    AuditEvent,
    Credential,
    CredentialBalances,
    CredentialSecret,
    FactorTry,
    Invitation,
    KeyCheck,
    Passkey,
    PasskeyChallenge,
    PendingSignIn,
    RecoveryCode,
    SealedValue,
    TotpFactor,
    User,
    UserSession,
    VaultCanary,
    VaultInstance,
)
