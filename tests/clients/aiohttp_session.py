"""Use a board by aiohttp, which refuses what is not RFC 6455: aiohttp_session.py PORT PASSWORD."""

import asyncio
import sys

import aiohttp

port, password = sys.argv[1:]
url = f"http://127.0.0.1:{port}/"


async def until(ws: aiohttp.ClientWebSocketResponse, end: str) -> str:
    """Receive text up to the end given, and return it."""
    received = ""
    while not received.endswith(end):
        received += await ws.receive_str(timeout=5)
    return received


async def main() -> None:
    """Get the page, log in, run a line, be a second client."""
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as response:
            assert response.status == 200
            assert response.content_type == "text/html"
            assert "webrepl_content.js" in await response.text()
        async with session.get(url + "favicon.ico") as response:
            assert response.status == 404

        async with session.ws_connect(url) as ws:
            assert await until(ws, " ") == "Password: "
            await ws.send_str(password + "\r")
            assert await until(ws, ">>> ") == "\r\nWebREPL connected\r\n>>> "
            await ws.send_str("print(6 * 7)\r")
            assert await until(ws, ">>> ") == "print(6 * 7)\r\n42\r\n>>> "

            async with session.ws_connect(url) as second:
                message = await second.receive(timeout=5)
                assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1013), message
                assert message.extra == "WebREPL is in use"

            # Its rejection is printed here, too.
            await until(ws, "rejected\r\n")
            # The firmware's version, as a binary frame.
            await ws.send_bytes(b"WA\x03".ljust(82, b"\0"))
            assert len(await ws.receive_bytes(timeout=5)) == 3


asyncio.run(main())
