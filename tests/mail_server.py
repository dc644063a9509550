"""A real SMTP server for tests, with TLS by an authority of its own; it keeps the letters it takes."""

import asyncio
import contextlib
import email
import email.policy
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "keydeck@mail", "canary mail:password/@"
FAR_NAME = socket.gethostname()  # this machine, by a name that is not a loopback name


class Certificates:
    """An authority that only these tests trust, and a certificate for this machine's names."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self._leaf = self._authority.issue_cert("127.0.0.1", "localhost", FAR_NAME)

    def make_server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._leaf.configure_cert(context)
        return context

    def make_client_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context


@dataclass
class PostOffice:
    """What the server took, and how it behaves."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    was_encrypted: list[bool] = field(default_factory=list)
    signed_in: list[bool] = field(default_factory=list)
    answer: str = "250 taken"
    pause_seconds: float = 0

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        if address.startswith("gone@"):
            return "550 canary-server-text: no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        await asyncio.sleep(self.pause_seconds)
        if self.answer.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            self.letters.append(email.message_from_bytes(content, policy=email.policy.default))  # type: ignore[arg-type]  # as typeshed has it
            self.was_encrypted.append(session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None)
            self.signed_in.append(bool(session.authenticated))
        return self.answer


def _judge(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=right)


@contextlib.asynccontextmanager
async def run_mail_server(
    *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[PostOffice]:
    """Run a server on every address of this machine: plain, with STARTTLS, or TLS from the first byte."""
    office, loop = PostOffice(), asyncio.get_running_loop()

    def make() -> SMTP:
        return SMTP(
            office,
            hostname="mail.test",
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_require_tls=starttls is not None,
            authenticator=_judge,
            loop=loop,
        )

    server = await loop.create_server(make, host=["0.0.0.0"], port=0, ssl=tls)
    office.port = server.sockets[0].getsockname()[1]
    try:
        yield office
    finally:
        server.close()
        await server.wait_closed()
