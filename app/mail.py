"""Sends mail by the operator's own SMTP server: encrypted off this machine, with a deadline, and never guessing.

What a server answers is told by its code only: its text may repeat what was sent.
"""

import asyncio
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, make_msgid
from urllib.parse import unquote, urlsplit

import aiosmtplib

from app.clock import Clock
from app.masking import Secret
from app.settings import Settings, is_loopback

DEADLINE_SECONDS = 30.0
_ANSWER_SECONDS = 10.0
_PORTS = {"smtp": 587, "smtps": 465}
_PLAIN_PORT = 25


@dataclass(frozen=True, slots=True)
class Mail:
    """A plain text letter to one person."""

    to: str
    subject: str
    text: str


class MailFailed(Exception):
    """A letter that the mail server did not take: `reason` is for people, `is_final` says that trying again is no use."""

    def __init__(self, reason: str, *, is_final: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where letters are handed in, and how."""

    host: str
    port: int
    user: str
    password: Secret
    is_tls: bool
    needs_starttls: bool


def parse_mail_server(url: Secret) -> MailServer:
    """Read `smtp://` (STARTTLS, which only a server on this machine may lack) or `smtps://` with user, password and port."""
    parts = urlsplit(url.reveal())
    host = parts.hostname or ""
    is_near = is_loopback(host)
    return MailServer(
        host=host,
        port=parts.port or (_PLAIN_PORT if is_near and parts.scheme == "smtp" else _PORTS[parts.scheme]),
        user=unquote(parts.username or ""),
        password=Secret(unquote(parts.password or "")),
        is_tls=parts.scheme == "smtps",
        needs_starttls=parts.scheme == "smtp" and not is_near,
    )


class Mailer:
    """Hands letters to the mail server, one connection each. Without a server set it is off, and says so."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        tls: ssl.SSLContext | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._server = parse_mail_server(settings.smtp_url) if settings.smtp_url else None
        self._sender = settings.mail_from
        self._clock = clock
        self._tls = tls
        self._deadline_seconds = deadline_seconds

    @property
    def is_on(self) -> bool:
        """Whether the operator has set a mail server."""
        return self._server is not None

    async def send(self, mail: Mail) -> str:
        """Hand one letter over and return its message id. Raises MailFailed."""
        if self._server is None:
            raise MailFailed("No mail server is set.", is_final=True)
        message = self._write(mail)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._hand_over(message, mail.to, server=self._server)
        except aiosmtplib.SMTPException as error:
            raise _judge(error) from None
        except ssl.SSLError:
            raise MailFailed("The mail server's certificate is not trusted.", is_final=False) from None
        except TimeoutError:
            raise MailFailed("The mail server did not answer in time.", is_final=False) from None
        except OSError:
            raise MailFailed("The mail server cannot be reached.", is_final=False) from None
        return str(message["Message-ID"])

    def _write(self, mail: Mail) -> EmailMessage:
        """Return the message. Raises MailFailed for an address or subject that cannot be in a header."""
        message = EmailMessage(policy=SMTP_POLICY)
        try:
            message["From"] = self._sender
            message["To"] = mail.to
            message["Subject"] = mail.subject
        except ValueError:
            raise MailFailed("The address or the subject cannot be written.", is_final=True) from None
        message["Date"] = format_datetime(self._clock())
        message["Message-ID"] = make_msgid(domain=self._domain)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        return message

    @property
    def _domain(self) -> str:
        return self._sender.rpartition("@")[2].rstrip(">") or "localhost"

    async def _hand_over(self, message: EmailMessage, to: str, *, server: MailServer) -> None:
        await aiosmtplib.send(
            message,
            recipients=[to],
            hostname=server.host,
            port=server.port,
            username=server.user or None,
            password=server.password.reveal() if server.user else None,
            local_hostname=self._domain,
            timeout=_ANSWER_SECONDS,
            use_tls=server.is_tls,
            start_tls=server.needs_starttls,
            tls_context=self._tls or ssl.create_default_context(),
        )


def _judge(error: aiosmtplib.SMTPException) -> MailFailed:
    """Say what an SMTP error means: who refused, by code, and whether another try could help."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        codes = [refused.code for refused in error.recipients]
        return MailFailed(f"The mail server refused the address ({codes[0]}).", is_final=min(codes) >= 500)
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return MailFailed(f"The mail server refused our user or password ({error.code}).", is_final=False)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return MailFailed(f"The mail server refused the letter ({error.code}).", is_final=error.code >= 500)
    reason = "The mail server offers no encryption, or no way to sign in."
    if isinstance(error, aiosmtplib.SMTPTimeoutError):
        reason = "The mail server did not answer in time."
    elif isinstance(error.__cause__, ssl.SSLError):
        reason = "The mail server's certificate is not trusted."
    elif isinstance(error, ConnectionError):
        reason = "The mail server cannot be reached."
    return MailFailed(reason, is_final=False)
