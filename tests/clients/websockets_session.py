"""Use a board by websockets, which refuses what is not RFC 6455: websockets_session.py PORT PASSWORD."""

import contextlib
import sys
import time

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

port, password = sys.argv[1:]
url = f"ws://127.0.0.1:{port}/"


def until(end: str) -> str:
    """Receive text up to the end given, and return it."""
    received = ""
    while not received.endswith(end):
        message = ws.recv(5)
        assert isinstance(message, str)
        received += message
    return received


# It pings with four bytes, and closes the connection if they do not come back.
with connect(url, ping_interval=0.5, ping_timeout=5) as ws:
    assert until(" ") == "Password: "
    ws.send(password + "\r")
    assert until(">>> ") == "\r\nWebREPL connected\r\n>>> "
    ws.send("print(6 * 7)\r")
    assert until(">>> ") == "print(6 * 7)\r\n42\r\n>>> "
    for content in (b"", b"1234", b"x" * 125):
        assert ws.ping(content).wait(5), "a ping is not answered"
    # Text beyond ASCII comes in frames of whole characters.
    ws.send("\x05print('é€😀' * 50)\x04")
    assert until(">>> ").endswith("\r\n" + "é€😀" * 50 + "\r\n>>> ")

    with connect(url) as second:
        with contextlib.suppress(ConnectionClosed):
            second.recv(5)
        assert (second.close_code, second.close_reason) == (1013, "WebREPL is in use")

    # Its rejection is printed here, too.
    assert until("\r\n").endswith("rejected\r\n")
    ws.send("'still here'\r")
    assert until(">>> ") == "'still here'\r\n'still here'\r\n>>> "
    closing = time.monotonic()

# A close frame with a code is answered by one, and by the end of the connection.
assert ws.protocol.close_rcvd, "the connection broke"
assert time.monotonic() - closing < 5, "the board leaves the connection open"
