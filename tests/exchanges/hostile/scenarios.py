"""What a hostile or broken exchange may answer, byte for byte, and the names that Keydeck may give it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.exchanges.hostile.bombs import MIB, make_brotli, make_deflate, make_gzip, make_zstd

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
NO_ANSWER = frozenset({"unreachable"})
BROKEN = frozenset({"exchange_unavailable"})
STRANGE = frozenset({"unexpected_reply"})
HTML = b"<html><body>401 invalid api key, signature, permission, IP address</body></html>"


@dataclass(frozen=True)
class Scenario:
    """`codes` are the problem codes that name it rightly; a slow one is met with a short deadline, a sound one is good JSON."""

    name: str
    answer: Answer
    codes: frozenset[str]
    is_slow: bool = False
    is_large: bool = False
    is_sound: bool = False


def say(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n")
        for start in range(0, len(body), 65536):  # in pieces: the server's own buffers must not count as memory
            writer.write(body[start : start + 65536])
            await writer.drain()

    return answer


def stream(head: bytes, chunk: bytes, *, times: int = 10**9, pause_seconds: float = 0) -> Answer:
    """Return an answer that sends the chunk again and again until the client has enough."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for _ in range(times):
            if writer.is_closing():
                return
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(pause_seconds)

    return answer


def abort(head: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await writer.drain()
        writer.transport.abort()

    return answer


async def stay_silent(writer: asyncio.StreamWriter) -> None:
    await writer.wait_closed()


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ROWS = '[{{"currency": "BTC", "symbol": "BTC", "asset": "BTC", "available": {0}, "reserved": {0}, "free": {0}}}]'
MANY = b"".join(f"X-Header-{number}: v".encode() + b"\r\n" for number in range(1000))
PAST = ("Date: Sat, 21 Nov 2026 12:00:00 GMT", "Retry-After: Fri, 01 Jan 2021 00:00:00 GMT")
WIDE = '["' + "\\ud83d\\ude00" + "a" * 4_000_000 + '"]'

SCENARIOS = (
    Scenario("a body of a gigabyte", stream(OK + b"Content-Length: 1000000000\r\n\r\n", b"x" * 65536), BROKEN, is_large=True),
    Scenario("endless chunks", stream(CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"), BROKEN, is_large=True),
    Scenario("gzip bomb", say(make_gzip(), "Content-Encoding: gzip"), BROKEN, is_large=True),
    Scenario("deflate bomb", say(make_deflate(), "Content-Encoding: deflate"), BROKEN, is_large=True),
    Scenario("br bomb", say(make_brotli(), "Content-Encoding: br"), BROKEN, is_large=True),
    Scenario("zstd bomb", say(make_zstd(), "Content-Encoding: zstd"), BROKEN, is_large=True),
    Scenario("gzip unannounced", say(make_gzip()), BROKEN, is_large=True),
    Scenario("a million brackets", say(b"[" * 1_000_000), STRANGE, is_large=True),
    Scenario("a million names", say(json.dumps({f"k{n}": n for n in range(1_000_000)}).encode()), BROKEN, is_large=True),
    Scenario("names below the cap", say(json.dumps({f"k{n}": n for n in range(200_000)}).encode()), STRANGE, is_large=True),
    Scenario("objects in objects", say(b"[" + b",".join([b"[[[[[[[[[[]]]]]]]]]]"] * 150_000) + b"]"), STRANGE, is_large=True),
    Scenario("one wide text", say(WIDE.encode()), STRANGE, is_large=True),
    Scenario("wide letters", say(('["' + "😀" * 900_000 + '"]').encode()), STRANGE, is_large=True),
    Scenario("a text that defeats patterns", say(b"[" * 41 + b'"' + b'\\"' * 1_900_000), STRANGE, is_large=True),
    Scenario("names twice", say(b'{"status": "ok", "code": 200, "data": [], "data": null, "result": {}, "result": 1}'), STRANGE),
    Scenario("NaN", say(ROWS.format("NaN").encode()), STRANGE),
    Scenario("infinity", say(ROWS.format("-Infinity").encode()), STRANGE),
    Scenario("1e400", say(ROWS.format("1e400").encode()), STRANGE, is_sound=True),
    Scenario("huge integers", say(ROWS.format("9" * 100_000).encode()), STRANGE),
    Scenario("other types", say(b'[1, "a", null, [[]]]'), STRANGE),
    Scenario("HTML with 200", say(HTML, "Content-Type: text/html"), BROKEN),
    Scenario("HTML with 401", say(HTML, "Content-Type: text/html", status="401 Unauthorized"), BROKEN),
    Scenario("nothing with 200", say(b""), BROKEN),
    Scenario("cut off", say(b'[{"currency": "BTC"', length=5000), NO_ANSWER),
    Scenario("cut off, length adjusted", say(b'[{"currency": "BTC"'), STRANGE),
    Scenario("UTF-16", say('[{"currency": "BTC"}]'.encode("utf-16")), BROKEN),
    Scenario("byte order mark", say(b"\xef\xbb\xbf[]"), BROKEN),
    Scenario("latin-1", say(b'["\xe4\xf6\xfc"]'), STRANGE),
    Scenario("header by drops", stream(OK + b"X-A: ", b"a", pause_seconds=0.02), NO_ANSWER, is_slow=True),
    Scenario("body by drops", stream(OK + b"Content-Length: 9999\r\n\r\n", b"[", pause_seconds=0.02), NO_ANSWER, is_slow=True),
    Scenario("silence", stay_silent, NO_ANSWER, is_slow=True),
    Scenario("hints without end", stream(b"", b"HTTP/1.1 103 Hints\r\n\r\n", pause_seconds=0.001), NO_ANSWER, is_slow=True),
    Scenario("hung up at once", abort(b""), NO_ANSWER),
    Scenario("hung up in the body", abort(OK + b"Content-Length: 9999\r\n\r\n[{"), NO_ANSWER),
    Scenario("HTTP/0.9", abort(b"hello there\r\n"), NO_ANSWER),
    Scenario("impossible chunk", abort(CHUNKED + b"-5\r\nabc\r\n"), NO_ANSWER),
    Scenario("two lengths", abort(OK + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\n[]"), NO_ANSWER),
    Scenario("a thousand headers", abort(OK + MANY + b"\r\n[]"), NO_ANSWER),
    Scenario("a header of a megabyte", abort(OK + b"X-A: " + b"a" * MIB + b"\r\n\r\n[]"), NO_ANSWER),
    Scenario("429 for 31 years", say(b"", "Retry-After: 1000000000", status="429 Slow"), frozenset({"rate_limited"})),
    Scenario("429 until the past", say(b"", *PAST, status="429 Slow"), frozenset({"rate_limited"})),
    Scenario("418", say(b"teapot", status="418 Teapot"), BROKEN),
    Scenario("451", say(b"{}", status="451 Legal"), BROKEN | STRANGE),
    Scenario("500", say(b"{}", status="500 Error"), BROKEN | STRANGE),
    Scenario("502", say(HTML, status="502 Bad Gateway"), BROKEN),
    Scenario("503", say(b"", status="503 Down"), frozenset({"maintenance"})),
    Scenario("520", say(b"", status="520 Unknown"), BROKEN),
)
