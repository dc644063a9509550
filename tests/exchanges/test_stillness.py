"""A process that stood still blames nobody: neither the exchange nor the key, and it leaves the breaker alone."""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import httpx
import pytest

from app.exchanges.errors import StoodStill, Unreachable
from app.exchanges.http import ExchangeHttp, OutgoingRequest
from app.exchanges.stillness import STILL_SECONDS, Stillness
from tests.exchanges.servers import run_server

ROOT = Path(__file__).resolve().parent.parent.parent
ORIGIN = "https://api.example.org"
CLIENT = """
import asyncio, collections, json, sys, time
from app.exchanges.errors import ExchangeError
from app.exchanges.http import ExchangeHttp, OutgoingRequest

async def main(origin):
    ended, until = collections.Counter(), time.monotonic() + 5
    async with ExchangeHttp(origins=frozenset({origin}), deadline_seconds=1) as http:
        async def ask():
            while time.monotonic() < until:
                try:
                    await http.send(OutgoingRequest("GET", origin + "/"), call="GET /")
                    ended["answered"] += 1
                except ExchangeError as error:
                    ended[type(error).__name__] += 1
                    await asyncio.sleep(0.05)
        print("begun", flush=True)
        await asyncio.gather(*[ask() for _ in range(16)])
        failures = [origin.breaker.failures for origin in http.describe_health()]
    print(json.dumps([ended, failures]))

asyncio.run(main(sys.argv[1]))
"""


async def answer_soon(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.2)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    await writer.drain()


async def test_a_process_that_was_stopped_opens_no_breaker() -> None:
    """The answers of all its calls lie in their sockets when it goes on, and every deadline is over."""
    async with run_server(answer_soon) as server:
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CLIENT, server.origin, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        assert client.stdout is not None
        await client.stdout.readline()
        await asyncio.sleep(0.7)
        os.kill(client.pid, signal.SIGSTOP)
        await asyncio.sleep(2.5)
        os.kill(client.pid, signal.SIGCONT)
        told, _ = await client.communicate()
    ended, failures = json.loads(told)
    assert ended.pop("answered") > 32, "before and after"
    assert set(ended) == {"StoodStill"}
    assert failures == [0]


async def test_silence_while_the_process_stood_still_is_ours_and_any_other_is_not() -> None:
    async def stay_silent(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(200)

    async with ExchangeHttp(
        origins=frozenset({ORIGIN}), transport=httpx.MockTransport(stay_silent), deadline_seconds=0.2
    ) as http:
        for kind, failures in ((Unreachable, 1), (StoodStill, 1), (Unreachable, 2)):
            if kind is StoodStill:
                asyncio.get_running_loop().call_later(0.05, time.sleep, STILL_SECONDS + 0.8)
            with pytest.raises(kind):
                await http.send(OutgoingRequest("GET", f"{ORIGIN}/"), call="GET /")
            assert http.describe_health()[0].breaker.failures == failures


async def test_an_answer_that_came_all_the_same_counts() -> None:
    async def stall(_: httpx.Request) -> httpx.Response:
        time.sleep(STILL_SECONDS + 0.8)  # noqa: ASYNC251  # the whole process stands still
        return httpx.Response(200)

    async with ExchangeHttp(origins=frozenset({ORIGIN}), transport=httpx.MockTransport(stall)) as http:
        assert (await http.send(OutgoingRequest("GET", f"{ORIGIN}/"), call="GET /")).status == 200


async def test_a_machine_that_slept_is_known_by_the_clock_on_the_wall() -> None:
    """The loop's own clock sleeps too; connections are dead when it wakes."""
    wall = [1_000_000.0]
    with Stillness(wall_clock=lambda: wall[0]) as awake:
        await asyncio.sleep(0.01)
    assert not awake.was_met
    with Stillness(wall_clock=lambda: wall[0]) as asleep:
        wall[0] += 3600
    assert asleep.was_met
    with Stillness(wall_clock=lambda: wall[0]) as set_back:
        wall[0] -= 3600
    assert not set_back.was_met
