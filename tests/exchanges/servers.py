"""A raw server on loopback: it shows the bytes that really left, and answers with any bytes a test wants."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawServer:
    port: int = 0
    requests: list[bytes] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[str]:
        return [request.decode("latin-1").split("\r\n")[0] for request in self.requests]

    def headers(self, index: int = -1) -> dict[str, str]:
        head = self.requests[index].decode("latin-1").partition("\r\n\r\n")[0]
        pairs = [line.partition(": ") for line in head.split("\r\n")[1:]]
        return {name.lower(): value for name, _, value in pairs}


def say(text: bytes, *, status: str = "200 OK", headers: tuple[str, ...] = ()) -> Answer:
    """Return an answer with this body and a correct length."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(text)}", "Connection: close", *headers]
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + text)
        await writer.drain()

    return answer


@asynccontextmanager
async def run_server(answer: Answer) -> AsyncIterator[RawServer]:
    server = RawServer()
    open_writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.add(writer)
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            head = request.decode("latin-1").lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
            server.requests.append(request + await reader.readexactly(length))
            await answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            open_writers.discard(writer)
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for writer in list(open_writers):
            writer.close()
        await asyncio.sleep(0)
