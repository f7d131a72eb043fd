"""A WebREPL client over websocket-client: text frames are the REPL, binary frames move files.

And what tests need that are clients of their own, byte by byte.
"""

from __future__ import annotations

import re
import socket
import struct
import time

import websocket
from board import PASSWORD, TIMEOUT

PUT, GET, VERSION = 1, 2, 3
# What asks for a WebSocket: RFC 6455 §4.1.
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
# The room of a client that is to hold the board up as soon as it does not read.
NARROW = 4096


def connect(port: int) -> socket.socket:
    """Open a TCP connection to a board."""
    s = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def reset(s: socket.socket) -> None:
    """Close a connection so that the other side gets a reset."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a payload of less than 64 KiB as it is sent: RFC 6455 §5.2, masked with zeros."""
    size = len(payload)
    head = bytes([0x80 | opcode, 0x80 | size]) if size < 126 else struct.pack("!BBH", 0x80 | opcode, 0xFE, size)
    return head + bytes(4) + payload


def file_request(operation: int, name: str, size: int = 0) -> bytes:
    """Return the 82 bytes that start a file operation."""
    data = name.encode()
    return struct.pack("<2sBBQLH64s", b"WA", operation, 0, 0, size, len(data), data)


class Client:
    """A WebSocket connection to a board. Use as a context manager, which closes it at the end."""

    def __init__(self, port: int, *, login: bool = True, timeout: float = TIMEOUT, room: int | None = None) -> None:
        """Connect; room is about how many bytes the system may take in that are not read yet, if not its own choice."""
        options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
        if room:
            options.append((socket.SOL_SOCKET, socket.SO_RCVBUF, room))
        self.ws = websocket.create_connection(f"ws://127.0.0.1:{port}/", timeout=timeout, sockopt=options)
        self.text = ""
        self._seen = 0
        self.binary = bytearray()
        if login:
            self.login()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.ws.close(timeout=1)
        self.vanish()

    def vanish(self) -> None:
        """Close the TCP connection without a word of WebSocket."""
        self.ws.shutdown()  # type: ignore[no-untyped-call]

    def receive(self) -> None:
        """Take in one frame; raise WebSocketConnectionClosedException if it is the last."""
        opcode, data = self.ws.recv_data()
        if opcode == websocket.ABNF.OPCODE_TEXT:
            self.text += data.decode()
        elif opcode == websocket.ABNF.OPCODE_BINARY:
            self.binary += data
        else:
            raise websocket.WebSocketConnectionClosedException(f"opcode {opcode}: {data!r}")

    def wait_end(self) -> None:
        """Receive until the connection ends."""
        try:
            while True:
                self.receive()
        except websocket.WebSocketTimeoutException:
            raise AssertionError("the connection does not end") from None
        except (websocket.WebSocketException, OSError):
            pass

    def wait(self, pattern: str) -> re.Match[str]:
        """Receive until the pattern has come, after what was waited for before; return the match."""
        compiled = re.compile(pattern, re.DOTALL)
        while not (match := compiled.search(self.text, self._seen)):
            self.receive()
        self._seen = match.end()
        return match

    def skip_to(self, end: str) -> None:
        """Receive until this text has come, and forget what came before it: for output without end."""
        tail = ""
        while end not in tail:
            tail = tail[-len(end) :] + self.ws.recv_data()[1].decode()

    def type(self, keys: str) -> None:
        """Send a text frame."""
        self.ws.send(keys)

    def login(self, password: str = PASSWORD) -> None:
        """Answer the password prompt and wait for the REPL's."""
        self.wait("Password: ")
        self.type(password + "\r")
        self.wait("\r\nWebREPL connected\r\n>>> ")

    def login_attempt(self, password: str) -> None:
        """Answer the password prompt with a wrong password and wait for the denial."""
        self.wait("Password: ")
        self.type(password + "\r")
        self.wait("\r\nAccess denied\r\n")

    def run(self, line: str) -> str:
        """Run a line at the friendly REPL; return what it printed."""
        self.type(line + "\r")
        self.wait(re.escape(line) + "\r\n")
        return self.wait("(.*?)>>> $")[1].replace("\r\n", "\n").strip()

    def take(self, n: int) -> bytes:
        """Receive n bytes of binary frames."""
        while len(self.binary) < n:
            self.receive()
        data = bytes(self.binary[:n])
        del self.binary[:n]
        return data

    def request(self, operation: int, name: str = "", size: int = 0) -> None:
        """Start a file operation."""
        self.ws.send_binary(file_request(operation, name, size))

    def status(self) -> int:
        """Receive the answer to a request, or the one that ends a transfer."""
        signature, status = struct.unpack("<2sH", self.take(4))
        assert signature == b"WB"
        return int(status)

    def put(self, name: str, data: bytes, chunk: int = 1024) -> None:
        """Write a file on the board."""
        self.request(PUT, name, len(data))
        assert self.status() == 0
        for i in range(0, len(data), chunk):
            self.ws.send_binary(data[i : i + chunk])
        assert self.status() == 0

    def get(self, name: str) -> bytes:
        """Read a file of the board."""
        self.request(GET, name)
        assert self.status() == 0
        data = bytearray()
        while True:
            self.ws.send_binary(b"\0")
            size = int.from_bytes(self.take(2), "little")
            if size == 0:
                break
            data += self.take(size)
        assert self.status() == 0
        return bytes(data)

    def version(self) -> tuple[int, ...]:
        """Ask for the firmware's version."""
        self.request(VERSION)
        return tuple(self.take(3))


def client_when_let_in(port: int) -> Client:
    """Return a client that is logged in, as soon as the board, which may be starting or have no place, lets it."""
    end = time.monotonic() + TIMEOUT
    while True:
        try:
            return Client(port)
        except (OSError, websocket.WebSocketException):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
