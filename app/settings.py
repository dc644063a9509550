"""Settings from the environment, prefix KEYDECK_; `KEYDECK_<NAME>_FILE` reads a value from a file.

An unknown KEYDECK_ name stops the start with a message: a misspelt setting must never be silently ignored.
"""

import os
import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.exchanges.ways import WayOut, list_addresses, parse_ways
from app.masking import Secret

PREFIX = "KEYDECK_"
_EXCHANGE_URL = re.compile(r"EXCHANGE_([A-Z0-9]+)_URL")
_DATABASES = ("postgresql+psycopg://", "sqlite+aiosqlite:///")
_SENDER = re.compile(r"[\x21-\x7e]+@[\w.-]+")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class SettingsError(Exception):
    """A setting that cannot be used; the text is one line for the operator and never holds a secret value."""


class Settings(BaseModel):
    """Everything an operator can set. The description of each field is its documentation (docs/operators/settings.md)."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    database_url: Secret | None = Field(None, description="SQLAlchemy URL of the database; default: SQLite in DATA_DIR.")
    data_dir: Path = Field(Path("var"), description="Folder for the embedded database and the default key ring.")
    keyring_file: Path | None = Field(None, description="Key ring file; default: keyring.json in DATA_DIR.")
    public_url: str = Field("http://127.0.0.1:8000", description="Address people open; https beyond loopback.")
    host: str = Field("127.0.0.1", description="Address the server listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the server listens on.")
    sandbox: Literal["on", "off"] = Field("off", description="Offer the simulated exchanges (`make run` turns it on).")
    withdraw_policy: Literal["refuse", "warn"] = Field("refuse", description="What to do with a key that may withdraw.")
    probes: Literal["reads", "harmless", "all"] = Field("harmless", description="Which calls a check may make.")
    exchanges: tuple[str, ...] = Field((), description="Allow list of exchange slugs, comma separated; empty: all.")
    exchange_urls: dict[str, str] = Field(default_factory=dict, description="Live base URL per exchange (EXCHANGE_<SLUG>_URL).")
    egress: tuple[WayOut, ...] = Field((), description="Addresses exchanges see, for traders to allow; each may name its way.")
    check_interval_seconds: int = Field(900, ge=30, description="How often a key is checked, give or take a tenth.")
    balance_interval_seconds: int = Field(
        300, ge=30, description="How often balances are fetched between checks, give or take a tenth."
    )
    webhook_hosts: tuple[str, ...] = Field(
        (), description="Hosts inside your network that traders' webhooks may reach, by http too."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe level logged.")
    log_format: Literal["json", "text"] = Field("json", description="One JSON object per line, or text for people.")
    trusted_proxies: tuple[str, ...] = Field(
        (), description="Addresses or networks of proxies whose X-Forwarded-* headers are believed."
    )
    metrics_token: Secret | None = Field(None, description="Bearer token that /metrics asks for; empty: loopback only.")
    open_sign_up: Literal["on", "off"] = Field("off", description="Let anyone create a trader account.")
    allow_plain_http: Literal["on", "off"] = Field(
        "off", description="Start beyond loopback without https: with a banner on every page, and no key can be connected."
    )

    smtp_url: Secret | None = Field(
        None, description="Mail server, smtp://user:password@host:587 (STARTTLS) or smtps://host; empty: Keydeck sends no mail."
    )
    mail_from: str = Field("", description="Sender of Keydeck's mail, such as keydeck@example.org; needed with SMTP_URL.")

    @field_validator("exchanges", "trusted_proxies", "webhook_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what the server would take for a name that never matches, and whoever would be everybody."""
        for entry in value:
            try:
                network = ip_network(entry)
            except ValueError:
                raise ValueError("must be addresses or networks such as 10.0.0.2 or 172.16.0.0/12, comma separated") from None
            if network.prefixlen == 0:
                raise ValueError("must not be everybody: then each client chooses the address it is counted and recorded under")
        return value

    @field_validator("egress", mode="before")
    @classmethod
    def _read_egress(cls, value: object) -> object:
        entries = value.split(",") if isinstance(value, str) else value
        if not isinstance(entries, tuple | list) or not all(isinstance(entry, str) for entry in entries):
            return value
        given = [Secret(entry.strip()) for entry in entries if entry.strip()]
        return parse_ways(given) if given else ()

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            raise ValueError("must be like https://keydeck.example.org, without a path")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _check_database_url(self) -> Self:
        if not self.database_url_text.reveal().startswith(_DATABASES):
            raise ValueError("DATABASE_URL must start with postgresql:// or sqlite:///")
        return self

    @model_validator(mode="after")
    def _check_mail(self) -> Self:
        if not self.smtp_url:
            return self
        try:
            parts = urlsplit(self.smtp_url.reveal())
            is_right = parts.scheme in ("smtp", "smtps") and parts.hostname and parts.path in ("", "/") and parts.port != 0
        except ValueError:
            is_right = False
        if not is_right:
            raise ValueError("SMTP_URL must be like smtp://user:password@mail.example.org:587 or smtps://mail.example.org")
        if not _SENDER.fullmatch(self.mail_from):
            raise ValueError("MAIL_FROM must be an address such as keydeck@example.org when SMTP_URL is set")
        return self

    @model_validator(mode="after")
    def _check_exchange_urls(self) -> Self:
        for slug, url in self.exchange_urls.items():
            parts = urlsplit(url)
            if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
                raise ValueError(f"EXCHANGE_{slug.upper()}_URL must start with https:// (http only on loopback)")
        return self

    @property
    def database_url_text(self) -> Secret:
        """The database URL to connect to, with the driver Keydeck uses; masked because it may hold a password."""
        if self.database_url is None:
            return Secret(f"sqlite+aiosqlite:///{(self.data_dir / 'keydeck.db').as_posix()}")
        text = self.database_url.reveal()
        for plain, driver in (
            ("postgresql://", "postgresql+psycopg://"),
            ("postgres://", "postgresql+psycopg://"),
            ("sqlite:///", "sqlite+aiosqlite:///"),
        ):
            if text.startswith(plain):
                return Secret(driver + text.removeprefix(plain))
        return Secret(text)

    @property
    def ways(self) -> tuple[WayOut, ...]:
        """The ways out, at least the direct one; the first is the default."""
        return self.egress or (WayOut(),)

    @property
    def egress_addresses(self) -> tuple[str, ...]:
        """Every address that exchanges may see."""
        return list_addresses(self.egress)

    @property
    def keyring_path(self) -> Path:
        return self.keyring_file or self.data_dir / "keyring.json"

    @property
    def uses_https(self) -> bool:
        return self.public_url.startswith("https://")

    @property
    def is_public(self) -> bool:
        """Whether the address that people open is another than this machine's own."""
        return not is_loopback(urlsplit(self.public_url).hostname or "")

    @property
    def is_loopback_only(self) -> bool:
        """Whether nobody but this machine reaches the server: neither by its address nor past it, by where it listens."""
        return not self.is_public and is_loopback(self.host)

    @property
    def is_plain_beyond_loopback(self) -> bool:
        """Whether passwords and keys would cross a network unencrypted."""
        return not self.uses_https and not self.is_loopback_only


def is_loopback(name: str) -> bool:
    """Tell whether a host name or address means this machine itself."""
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name.lower() == "localhost"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; an empty value counts as not set.

    Raises SettingsError with one line that names the setting, never its value.
    """
    values: dict[str, object] = {}
    urls: dict[str, str] = {}
    for variable, value in (os.environ if environ is None else environ).items():
        if not variable.startswith(PREFIX):
            continue
        name, text = _read_value(variable.removeprefix(PREFIX), value)
        if match := _EXCHANGE_URL.fullmatch(name):
            urls[match[1].lower()] = text
        elif name.lower() in Settings.model_fields and name != "EXCHANGE_URLS":
            values[name.lower()] = text
        else:
            raise SettingsError(f"unknown setting {variable}: see docs/operators/settings.md for the names Keydeck knows")
    values = {name: text for name, text in values.items() if text}  # compose files hand on what is not set as empty
    urls = {slug: text for slug, text in urls.items() if text}
    values.setdefault("public_url", f"http://127.0.0.1:{values.get('port', 8000)}")
    try:
        return Settings.model_validate({**values, "exchange_urls": urls})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"setting {PREFIX}{where}: {first['msg']}" if where else f"settings: {first['msg']}") from None


def _read_value(name: str, value: str) -> tuple[str, str]:
    """Return the setting's name and text, reading a file for `<NAME>_FILE` (but KEYRING_FILE is a name of its own)."""
    plain = name.removesuffix("_FILE")
    if plain == name or name.lower() in Settings.model_fields:
        return name, value
    try:
        return plain, Path(value).read_text(encoding="utf-8").strip()
    except OSError:
        raise SettingsError(f"setting {PREFIX}{name}: the file cannot be read") from None
