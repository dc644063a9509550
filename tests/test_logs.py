"""Logging writes one honest line per event and lets no secret, URL query or exception text through."""

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.exchanges.errors import IpNotAllowed
from app.logs import QUIET_LOGGERS, FinishedRequest, RequestLog, configure_logging
from app.masking import MASK, Secret
from app.redaction import is_secret_name, redact_text, redact_value

CANARY = "cAnArY7f3Q9zLw0dXk"


@dataclass(frozen=True)
class LogChoice:
    log_level: str = "DEBUG"
    log_format: str = "json"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Configured logging on a text stream; everything is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in QUIET_LOGGERS}
    access = logging.getLogger("uvicorn.access").disabled
    text = io.StringIO()
    configure_logging(LogChoice(), stream=text)
    yield text
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, former in levels.items():
        logging.getLogger(name).setLevel(former)
    logging.getLogger("uvicorn.access").disabled = access
    structlog.reset_defaults()


def read_lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_structlog_and_the_standard_library_write_the_same_json_lines(stream: io.StringIO) -> None:
    structlog.get_logger("app.checks").info(
        "check finished", exchange="htx", latency_ms=31, at=datetime(2026, 11, 21, tzinfo=UTC)
    )
    logging.getLogger("app.plain").warning("%d of %s done", 3, "four")
    first, second = read_lines(stream)
    assert first == {
        "at": first["at"],
        "level": "info",
        "event": "check finished",
        "logger": "app.checks",
        "exchange": "htx",
        "latency_ms": 31,
    }
    assert second["event"] == "3 of four done"
    assert second["level"] == "warning"
    assert str(first["at"]).endswith("Z")


def test_text_format_is_one_line_too() -> None:
    text = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logging(LogChoice("INFO", "text"), stream=text)
        structlog.get_logger("app").info("two\nlines", field="a\r\nb", secret_key=CANARY)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    assert text.getvalue().count("\n") == 1
    assert CANARY not in text.getvalue()


@pytest.mark.parametrize("evil", ["a\nb", "a\r\nb", "a\x1b[31mb", "a\u2028b", "a\x85b", "a\u202eb", "a\x00b", "a\x7fb"])
def test_control_characters_cannot_forge_a_line(stream: io.StringIO, evil: str) -> None:
    logging.getLogger("app").info(evil)
    structlog.get_logger("app").info("x", field=evil)
    raw = stream.getvalue()
    assert len(raw.splitlines()) == 2
    assert evil not in raw
    assert read_lines(stream)[0]["event"] == evil


TEXTS = [
    f"GET https://api.huobi.pro/v1/account/accounts?AccessKeyId={CANARY}&SignatureMethod=HmacSHA256",
    f"GET /v1/order/orders?Signature={CANARY} HTTP/1.1",
    f"AccessKeyId={CANARY}",
    f"Signature: {CANARY}",
    f"apiKey={CANARY}",
    f"api_key = '{CANARY}'",
    f"X-API-Key: {CANARY}",
    f"X-Key: {CANARY}",
    f"X-Sign: {CANARY}",
    f"X-Signature: {CANARY}",
    f"Authorization: HS256 {CANARY}",
    f"authorization: Basic {CANARY}",
    f"Bearer {CANARY}",
    f"HS256 {CANARY}",
    f"secret={CANARY}",
    f"secret_key: {CANARY}",
    f"password={CANARY}",
    f"token={CANARY}",
    f"a kd_{CANARY} b",
    f"{{'api_key': '{CANARY}', 'x': 1}}",
    f'{{"secret_key": "{CANARY}"}}',
    f'"{{\\"secret_key\\": \\"{CANARY}\\"}}"',
    f"[(b'x-api-key', b'{CANARY}')]",
    f"('Authorization', 'HS256 {CANARY}')",
    f"Cookie: keydeck_session={CANARY}",
    f"set-cookie: a={CANARY}",
    f"postgresql://keydeck:{CANARY}@db/keydeck",
    f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
    f"password='with space {CANARY}'",
    f'password="with \\" quote {CANARY}"',
    f"passphrase: {CANARY}",
    f"private_key={CANARY}",
    f"secretKey={CANARY}",
    f"X-MBX-APIKEY: {CANARY}",
    f"reset_token={CANARY}",
    f"totp={CANARY}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_lose_their_secrets(stream: io.StringIO, text: str) -> None:
    logging.getLogger("someone.else").error(text)
    logging.getLogger("someone.else").error("said: %s", text)
    structlog.get_logger("app").error("e", told=text, nested={"deep": [text, {"deeper": (text,)}]})
    assert CANARY not in stream.getvalue()
    assert len(read_lines(stream)) == 3


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "apiKey",
        "secret",
        "secret_key",
        "secretKey",
        "password",
        "token",
        "Authorization",
        "X-API-Key",
        "X-Signature",
        "AccessKeyId",
        "Signature",
        "cookie",
        "private_key",
        "passphrase",
        "query_string",
        "body",
        "recovery_code",
        "metrics_token",
        "X-Key",
    ],
)
def test_fields_with_a_secret_name_are_masked_whatever_they_hold(stream: io.StringIO, name: str) -> None:
    structlog.get_logger("app").info("e", **{name: CANARY}, wrapped={name: [CANARY]})
    assert CANARY not in stream.getvalue()
    assert read_lines(stream)[0][name] == MASK


@pytest.mark.parametrize("name", ["token_id", "secret_version", "exchange", "key_count", "password_changed_at", "kid", "check"])
def test_harmless_names_are_kept(name: str) -> None:
    assert not is_secret_name(name)


def test_plain_sentences_are_kept() -> None:
    sentence = "HTX answered 200 in 31 ms; 3 of 4 credentials (crd_7f3a) checked, next in 900 s"
    assert redact_text(sentence) == sentence


def test_objects_never_speak_for_themselves(stream: io.StringIO) -> None:
    class Talkative:
        def __str__(self) -> str:
            return CANARY

        __repr__ = __str__

    structlog.get_logger("app").info(
        "e", found=Talkative(), raw=CANARY.encode(), wrapped=Secret(CANARY), failure=ValueError(CANARY)
    )
    logging.getLogger("app").info("%s and %s and %r", Talkative(), ValueError(CANARY), Secret(CANARY))
    logging.getLogger("app").info("%(one)s", {"one": Talkative()})
    logging.getLogger("app").info(ValueError(CANARY))
    assert CANARY not in stream.getvalue()
    assert read_lines(stream)[0]["failure"] == "ValueError"


def test_too_deep_and_too_long_values_are_cut() -> None:
    deep: object = "end"
    for _ in range(50):
        deep = [deep]
    assert "<builtins.list>" in str(redact_value(deep))
    assert len(redact_text("x" * 100_000)) < 5000


def fail_with_secret() -> None:
    local = CANARY
    try:
        raise ValueError(f"https://x/?Signature={local} {local}")
    except ValueError as error:
        raise RuntimeError(local) from error


def test_exceptions_are_written_as_type_and_frames(stream: io.StringIO) -> None:
    try:
        fail_with_secret()
    except RuntimeError:
        logging.getLogger("app").exception("failed")
        structlog.get_logger("app").exception("failed")
        logging.getLogger("app").exception("failed", stack_info=True)
    assert CANARY not in stream.getvalue()
    for line in read_lines(stream):
        assert line["error"] == "RuntimeError"
        assert line["caused_by"] == ["ValueError"]
        assert str(line["frames"]).count("fail_with_secret") == 1


def test_our_own_errors_tell_their_code_and_safe_ones_their_text(stream: io.StringIO) -> None:
    structlog.get_logger("app").warning("refused", failure=IpNotAllowed(CANARY))
    assert read_lines(stream)[0]["failure"] == "app.exchanges.errors.IpNotAllowed (ip_not_allowed)"
    assert CANARY not in stream.getvalue()
    configure_logging(LogChoice(), stream=stream, safe_errors=(KeyError,))
    try:
        raise KeyError("the text of this one is safe")
    except KeyError:
        logging.getLogger("app").exception("failed")
    assert "the text of this one is safe" in str(read_lines(stream)[-1]["error_text"])


def test_a_broken_record_prints_neither_text_nor_arguments(stream: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.LogRecord("app", logging.ERROR, __file__, 1, "%d", (CANARY,), None)
    logging.getLogger().handlers[0].handle(record)
    shown = capsys.readouterr()
    assert CANARY not in shown.err + shown.out + stream.getvalue()
    assert "could not be written" in shown.err


@pytest.mark.parametrize("name", QUIET_LOGGERS)
def test_chatty_libraries_are_kept_at_warning(stream: io.StringIO, name: str) -> None:
    logging.getLogger(name).info("x")
    logging.getLogger(f"{name}.child").debug("x")
    assert stream.getvalue() == ""
    logging.getLogger(name).warning("x")
    assert len(read_lines(stream)) == 1


def test_a_child_logger_that_was_set_to_debug_is_quietened_too() -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    child = logging.getLogger("httpx.made_for_this_test")
    child.setLevel(logging.DEBUG)
    child.addHandler(logging.StreamHandler(io.StringIO()))
    try:
        configure_logging(LogChoice(), stream=io.StringIO())
        assert child.level == logging.WARNING
        assert child.handlers == []
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()


async def answer(request: Request) -> Response:
    return PlainTextResponse("ok", headers={"set-cookie": f"a={CANARY}"})


async def explode(request: Request) -> Response:
    raise RuntimeError(CANARY)


async def test_the_request_log_names_the_request_and_nothing_in_it(stream: io.StringIO) -> None:
    finished: list[FinishedRequest] = []
    inner = Starlette(routes=[Route("/credentials/{credential_id}", answer, methods=["GET", "POST"]), Route("/boom", explode)])
    app = RequestLog(inner, on_finish=finished.append)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://x") as client:
        await client.post(
            f"/credentials/crd_1?token={CANARY}", content=CANARY, headers={"cookie": f"s={CANARY}", "authorization": CANARY}
        )
        await client.get("/boom")
        await client.get("/nowhere?a=b")
    lines = [line for line in read_lines(stream) if line["event"] == "request"]
    assert CANARY not in stream.getvalue()
    assert [(line["method"], line["status"], line["level"]) for line in lines] == [
        ("POST", 200, "info"),
        ("GET", 500, "error"),
        ("GET", 404, "info"),
    ]
    assert [seen.status for seen in finished] == [200, 500, 404]
    assert finished[2].route is None
    assert lines[2]["route"] == "/nowhere"
    assert isinstance(lines[0]["duration_ms"], int)
