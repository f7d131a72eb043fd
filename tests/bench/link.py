"""The benchmark's client: one that does as little as it can, so that what it measures is the board."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import struct
import time

from board import PASSWORD, TIMEOUT
from client import GET, PUT, REQUEST, file_request, frame

TEXT, BINARY, PING = 1, 2, 9
# After how long without the prompt it is asked for again.
NUDGE_S = 0.1
PROMPT = b">>> "


def payload(data: bytes) -> bytes:
    """Return what is in these frames: RFC 6455 §5.2, of a server's, which are not masked; the last may be cut off."""
    found = b""
    while len(data) >= 2:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        found += data[start : start + size]
        data = data[start + size :]
    return found


class Link:
    """A client's connection, logged in: frames, if there are any, are read as bytes of known number."""

    def __init__(self, port: int, *, framed: bool = True, room: int | None = None) -> None:
        """Connect to the port, with room for so many bytes that are not read yet, and log in."""
        self._framed = framed
        self._sock = socket.socket()
        if room:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self._sock.connect(("127.0.0.1", port))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.set_timeout(TIMEOUT)
        self._sock.sendall(REQUEST)
        self.until(b"Password: ")
        self.send(self.pack(PASSWORD.encode() + b"\r"))
        # True if the server does not see what comes before it asks for socket events.
        self.nudged = False
        self.set_timeout(NUDGE_S)
        try:
            self.until(PROMPT)
        except BlockingIOError:
            self.nudged = True
            self.set_timeout(TIMEOUT)
            # The event that comes of a ping does.
            self.send(self.pack(b"", PING))
            self.until(PROMPT)
        self.set_timeout(TIMEOUT)

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        with self._sock, contextlib.suppress(OSError):
            # Let the server end the session before the next begins.
            self._sock.shutdown(socket.SHUT_WR)
            while self._sock.recv(65536):
                pass

    def set_timeout(self, seconds: float) -> None:
        """Wait for so long at most for what is to come, or to be taken: a BlockingIOError then."""
        # With a timeout of the socket object's, Python would poll() before each call.
        timeout = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)

    def pack(self, payload: bytes, opcode: int = TEXT) -> bytes:
        """Return the payload as it is sent."""
        return frame(opcode, payload) if self._framed else payload

    def send(self, data: bytes) -> None:
        """Send what pack() made."""
        self._sock.sendall(data)

    def take(self, size: int) -> bytes:
        """Receive a frame of this many bytes of payload."""
        header = (4 if size > 125 else 2) if self._framed else 0
        data = self._sock.recv(header + size, socket.MSG_WAITALL)
        if len(data) != header + size:
            raise ConnectionError(f"{header + size} bytes expected, {data!r} came")
        return data[header:]

    def until(self, end: bytes, least: int = 1) -> bytes:
        """Receive until this ends what came, without waking up for less bytes than there will be at least."""
        data = b""
        if least > 1:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least)
        while not data.endswith(end):
            if not (part := self._sock.recv(65536)):
                raise ConnectionError(f"{end!r} expected, the end came after {data!r}")
            if not data and least > 1:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
            data += part
        return data

    def run(self, line: str) -> str:
        """Run a line at the prompt; return the last thing it printed."""
        self.send(self.pack(line.encode() + b"\r"))
        shown = self.until(PROMPT).decode(errors="replace")
        return str(re.findall(r"[\w.]+", shown[shown.index("\r\n") :])[-1])

    def request(self, operation: int, name: str, size: int = 0) -> None:
        """Ask for a file operation and wait for the answer."""
        self.send(self.pack(file_request(operation, name, size), BINARY))
        self.status()

    def status(self) -> None:
        """Receive an answer."""
        if (data := self.take(4)) != b"WB\0\0":
            raise ConnectionError(f"no success: {data!r}")

    def get(self, name: str, size: int, seconds: float | None = None) -> tuple[bytes, list[float]]:
        """Read a file of this size; return it and the times of its turns in s. Break off after so many seconds."""
        data = []
        ready = self.pack(b"\0", BINARY)
        self.request(GET, name)
        stamps = [time.perf_counter()]
        end = stamps[0] + seconds if seconds else None
        # The piece that is empty is the last.
        for left in [*range(size, 0, -256), 0]:
            self.send(ready)
            data.append(self.take(2 + min(left, 256)))
            stamps.append(time.perf_counter())
            if end and stamps[-1] > end:
                break
        else:
            self.status()
        return b"".join(piece[2:] for piece in data), [b - a for a, b in itertools.pairwise(stamps)]

    def put(self, name: str, data: bytes, chunk: int) -> None:
        """Write a file."""
        self.request(PUT, name, len(data))
        for piece in [self.pack(data[i : i + chunk], BINARY) for i in range(0, len(data), chunk)]:
            self.send(piece)
        self.status()
