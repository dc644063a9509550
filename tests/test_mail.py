"""Letters by a real SMTP server: encrypted beyond this machine, with a deadline, and failures said in plain words."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from app.errands import Errands
from app.mail import Mail, Mailer, MailFailed
from app.settings import Settings, SettingsError, load_settings
from tests.mail_server import FAR_NAME, PASSWORD, USER, Certificates, PostOffice, run_mail_server

LETTER = Mail(
    "trader@example.org", "Grüße from Keydeck", "Your key “main” may withdraw.\n\nA link: https://keydeck.example.org/x?y=1\n"
)
SIGN_IN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@"


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture
async def plain() -> AsyncIterator[PostOffice]:
    async with run_mail_server() as office:
        yield office


@pytest.fixture
async def starttls(certificates: Certificates) -> AsyncIterator[PostOffice]:
    async with run_mail_server(starttls=certificates.make_server_context()) as office:
        yield office


@pytest.fixture
async def tls(certificates: Certificates) -> AsyncIterator[PostOffice]:
    async with run_mail_server(tls=certificates.make_server_context()) as office:
        yield office


def make_mailer(url: str, clock: Any, *, trusted: ssl.SSLContext | None = None, deadline_seconds: float = 10) -> Mailer:
    settings = load_settings({"KEYDECK_SMTP_URL": url, "KEYDECK_MAIL_FROM": "keydeck@example.org"})
    return Mailer(settings, clock=clock, tls=trusted, deadline_seconds=deadline_seconds)


async def fail(mailer: Mailer, letter: Mail = LETTER) -> MailFailed:
    with pytest.raises(MailFailed) as caught:
        await mailer.send(letter)
    assert "canary" not in str(caught.value)
    return caught.value


async def test_a_letter_arrives_whole(plain: PostOffice, clock: Any) -> None:
    message_id = await make_mailer(f"smtp://127.0.0.1:{plain.port}", clock).send(LETTER)
    (letter,) = plain.letters
    assert letter["To"] == LETTER.to
    assert letter["From"] == "keydeck@example.org"
    assert letter["Subject"] == LETTER.subject
    assert letter["Message-ID"] == message_id
    assert message_id.endswith("@example.org>")
    assert letter["Date"] == "Sat, 21 Nov 2026 12:00:00 +0000"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content().replace("\r\n", "\n") == LETTER.text


async def test_beyond_this_machine_starttls_is_used_before_signing_in(
    starttls: PostOffice, clock: Any, certificates: Certificates
) -> None:
    url = f"smtp://{SIGN_IN}{FAR_NAME}:{starttls.port}"
    await make_mailer(url, clock, trusted=certificates.make_client_context()).send(LETTER)
    assert starttls.was_encrypted == [True]
    assert starttls.signed_in == [True]


async def test_beyond_this_machine_a_server_without_starttls_gets_nothing(plain: PostOffice, clock: Any) -> None:
    refused = await fail(make_mailer(f"smtp://{SIGN_IN}{FAR_NAME}:{plain.port}", clock))
    assert "no encryption" in refused.reason
    assert not plain.letters
    await make_mailer(f"smtp://localhost:{plain.port}", clock).send(LETTER)
    assert len(plain.letters) == 1


async def test_tls_from_the_first_byte(tls: PostOffice, clock: Any, certificates: Certificates) -> None:
    url = f"smtps://{SIGN_IN}127.0.0.1:{tls.port}"
    await make_mailer(url, clock, trusted=certificates.make_client_context()).send(LETTER)
    assert tls.was_encrypted == [True]
    assert tls.signed_in == [True]


@pytest.mark.parametrize("kind", ["starttls", "tls"])
async def test_an_unknown_authority_is_refused(kind: str, request: pytest.FixtureRequest, clock: Any) -> None:
    certificates = Certificates()
    context = certificates.make_server_context()
    async with run_mail_server(**{kind: context}) as office:
        url = f"{'smtps' if kind == 'tls' else 'smtp'}://{SIGN_IN}{FAR_NAME}:{office.port}"
        refused = await fail(make_mailer(url, clock))
        assert "certificate is not trusted" in refused.reason
        assert not refused.is_final
        assert not office.letters
        await make_mailer(url, clock, trusted=certificates.make_client_context()).send(LETTER)
        assert len(office.letters) == 1


async def test_a_wrong_password_says_so(tls: PostOffice, clock: Any, certificates: Certificates) -> None:
    trusted = certificates.make_client_context()
    refused = await fail(make_mailer(f"smtps://keydeck:canary@127.0.0.1:{tls.port}", clock, trusted=trusted))
    assert refused.reason == "The mail server refused our user or password (535)."


async def test_refusals_are_told_by_their_code(plain: PostOffice, clock: Any) -> None:
    mailer = make_mailer(f"smtp://127.0.0.1:{plain.port}", clock)
    gone = await fail(mailer, Mail("gone@example.org", "x", "y"))
    assert gone.reason == "The mail server refused the address (550)."
    assert gone.is_final
    plain.answer = "452 canary: the disk is full"
    full = await fail(mailer)
    assert full.reason == "The mail server refused the letter (452)."
    assert not full.is_final
    plain.answer = "554 canary: looks like advertising"
    assert (await fail(mailer)).is_final
    plain.answer = "250 taken"
    await mailer.send(LETTER)


async def test_a_silent_server_is_given_up(plain: PostOffice, clock: Any) -> None:
    plain.pause_seconds = 30
    refused = await fail(make_mailer(f"smtp://127.0.0.1:{plain.port}", clock, deadline_seconds=0.2))
    assert refused.reason == "The mail server did not answer in time."


async def test_nobody_there(clock: Any, unused_tcp_port: int) -> None:
    refused = await fail(make_mailer(f"smtp://127.0.0.1:{unused_tcp_port}", clock))
    assert refused.reason == "The mail server cannot be reached."
    assert not refused.is_final


@pytest.fixture
def unused_tcp_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize(
    "letter",
    [Mail("a@example.org\r\nBcc: thief@example.org", "x", "y"), Mail("a@example.org", "x\nBcc: thief@example.org", "y")],
)
async def test_no_header_can_be_smuggled_in(plain: PostOffice, clock: Any, letter: Mail) -> None:
    refused = await fail(make_mailer(f"smtp://127.0.0.1:{plain.port}", clock), letter)
    assert refused.is_final
    assert not plain.letters


async def test_without_a_server_mail_is_off(clock: Any) -> None:
    mailer = Mailer(Settings(), clock=clock)
    assert not mailer.is_on
    assert (await fail(mailer)).is_final


@pytest.mark.parametrize(
    ("url", "sender", "words"),
    [
        ("mail.example.org", "a@example.org", "SMTP_URL must be like smtp://"),
        ("http://canary@mail.example.org", "a@example.org", "SMTP_URL must be like smtp://"),
        ("smtp://canary@mail.example.org:99999", "a@example.org", "SMTP_URL must be like smtp://"),
        ("smtp://", "a@example.org", "SMTP_URL must be like smtp://"),
        ("smtp://mail.example.org", "", "MAIL_FROM must be an address"),
        ("smtp://mail.example.org", "a@b\r\nX: y", "MAIL_FROM must be an address"),
    ],
)
def test_settings_that_cannot_work_stop_the_start(url: str, sender: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        load_settings({"KEYDECK_SMTP_URL": url, "KEYDECK_MAIL_FROM": sender})
    assert "canary" not in str(caught.value)
    assert load_settings({"KEYDECK_SMTP_URL": ""}).mail_from == ""


async def test_errands_are_done_after_the_answer_and_before_the_end(caplog: pytest.LogCaptureFixture) -> None:
    errands, done = Errands(), []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append("work")

    async def fall() -> None:
        raise OSError("canary-secret")

    async def hang() -> None:
        await asyncio.Event().wait()

    errands.start("work", work)
    errands.start("fall", fall)
    await errands.settle()
    assert done == ["work"]
    assert "fall failed: OSError" in caplog.text
    assert "canary" not in caplog.text
    for _ in range(201):
        errands.start("hang", hang)
    assert "dropped hang" in caplog.text
    await errands.aclose(grace_seconds=0)
    await errands.settle()
