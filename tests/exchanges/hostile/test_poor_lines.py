"""Good answers over poor lines are good answers: cut into slices, without a length, or from a server that hangs up half."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from app.exchanges.types import BalanceSheet, KeyReport
from tests.exchanges.hostile.test_hostile import ask
from tests.exchanges.servers import RawServer, run_server
from tests.exchanges.stage import KINDS, SLUGS, FakeExchange, load_fixture

Line = Callable[[asyncio.StreamWriter, httpx.Response], Awaitable[None]]


def write_head(reply: httpx.Response, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {reply.status_code} X", "Content-Type: application/json", *headers, "", ""]).encode()


async def send_slices(writer: asyncio.StreamWriter, reply: httpx.Response) -> None:
    """Send every seven bytes by themselves, the head too."""
    whole = write_head(reply, f"Content-Length: {len(reply.content)}") + reply.content
    for start in range(0, len(whole), 7):
        writer.write(whole[start : start + 7])
        await writer.drain()
        await asyncio.sleep(0)


async def send_chunks_of_one(writer: asyncio.StreamWriter, reply: httpx.Response) -> None:
    chunks = b"".join(b"1\r\n" + bytes([byte]) + b"\r\n" for byte in reply.content)
    writer.write(write_head(reply, "Transfer-Encoding: chunked") + chunks + b"0\r\n\r\n")
    await writer.drain()


async def end_by_hanging_up(writer: asyncio.StreamWriter, reply: httpx.Response) -> None:
    writer.write(write_head(reply, "Connection: close") + reply.content)
    await writer.drain()
    writer.write_eof()


async def hang_up_half_at_once(writer: asyncio.StreamWriter, reply: httpx.Response) -> None:
    """Close the sending side with the answer, and go on reading."""
    writer.write(write_head(reply, f"Content-Length: {len(reply.content)}") + reply.content)
    writer.write_eof()
    await writer.drain()


@pytest.mark.parametrize(
    "line", [send_slices, send_chunks_of_one, end_by_hanging_up, hang_up_half_at_once], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("slug", SLUGS)
async def test_a_good_answer_stays_good(slug: str, line: Line) -> None:
    fake = FakeExchange(KINDS[slug], load_fixture(slug)["replies"])
    servers: list[RawServer] = []

    async def answer(writer: asyncio.StreamWriter) -> None:
        method, target, _ = servers[0].lines[-1].split(" ")
        await line(writer, fake.answer(httpx.Request(method, f"{servers[0].origin}{target}")))

    async with run_server(answer) as server:
        servers.append(server)
        report, _ = await ask(slug, server, "check")
        sheet, _ = await ask(slug, server, "fetch_balances")
    assert isinstance(report, KeyReport)
    assert isinstance(sheet, BalanceSheet)
    assert sheet.balances
    assert not sheet.missing
