"""Every table of every feature, so that migrations and start-up checks know them all."""

from app.accounts.attempt_models import AttemptCount, AttemptTrickle, FamiliarPlace, ResetLink
from app.accounts.factor_models import FactorTry, Passkey, PasskeyChallenge, PendingSignIn, RecoveryCode, TotpFactor
from app.accounts.models import ApiToken, Invitation, User, UserSession
from app.alerts.models import Alert, AlertChannel, AlertDelivery, AlertPreferences
from app.audit import AuditEvent
from app.credentials.change_models import CredentialChange, CredentialWatch
from app.credentials.models import Credential, CredentialBalances, CredentialSecret, KeyCheck
from app.db import Base
from app.live.models import LiveEvent
from app.traffic.models import ExchangePlaces, ExchangeRest, ExchangeTurn
from app.vault.models import SealedValue, VaultCanary, VaultInstance

__all__ = ["TABLES", "Base"]

TABLES = (
    Alert,
    AlertChannel,
    AlertDelivery,
    AlertPreferences,
    ApiToken,
    AttemptCount,
    AttemptTrickle,
    AuditEvent,
    Credential,
    CredentialBalances,
    CredentialChange,
    CredentialSecret,
    CredentialWatch,
    ExchangePlaces,
    ExchangeRest,
    ExchangeTurn,
    FactorTry,
    FamiliarPlace,
    Invitation,
    KeyCheck,
    LiveEvent,
    Passkey,
    PasskeyChallenge,
    PendingSignIn,
    RecoveryCode,
    ResetLink,
    SealedValue,
    TotpFactor,
    User,
    UserSession,
    VaultCanary,
    VaultInstance,
)
