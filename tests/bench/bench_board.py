# mypy: ignore-errors
"""What the benchmark runs on the board: its yardstick, and programs to be measured. Copied to the flash."""

import gc
import os
import socket
import time

_SO_CALLBACK = 20
_PUT = 1
_LINES = 300
_STATUS = b"WB\0\0"
_MUCH = 250 * "x"


def lines(to: object = None) -> None:
    """Print the lines that a client waits for."""
    for i in range(_LINES):
        if to:
            print("This is line number", i, file=to, end="\r\n")
        else:
            print("This is line number", i)


def heap() -> int:
    """Return how many bytes of heap are in use."""
    gc.collect()
    return gc.mem_alloc()


def pause(ms: int) -> int:
    """Be a program that runs for ms; return the longest time in µs that it was kept from running."""
    longest = 0
    start = before = time.ticks_us()
    while time.ticks_diff(before, start) < ms * 1000:
        now = time.ticks_us()
        longest = max(longest, time.ticks_diff(now, before))
        before = now
    return longest


def talk() -> None:
    """Print until that has to wait, for a client that reads nothing; tell after how long it goes on."""
    while True:
        start = time.ticks_ms()
        print(_MUCH)
        if time.ticks_diff(time.ticks_ms(), start) > 500:
            break
    # Not for the next to wait as long.
    for _ in range(50):
        print(_MUCH)
    print("went on after", time.ticks_diff(time.ticks_ms(), start), "ms")


def provide_wlan() -> None:
    """Let servers imported from now on find network.WLAN where there is only a cable: it is off."""
    import sys

    import network

    class WLAN:
        IF_STA, IF_AP = 0, 1

        def __init__(self, interface: int) -> None:
            pass

        def active(self) -> bool:
            return False

    class Network:
        def __getattr__(self, name: str) -> object:
            return WLAN if name == "WLAN" else getattr(network, name)

    if not hasattr(network, "WLAN"):
        sys.modules["network"] = Network()


def start_directly(port: int, password: str) -> None:
    """Start WebREPL with the C modules alone between the socket and os.dupterm()."""
    import _webrepl
    import websocket

    import webrepl

    def accept(listen_sock: socket.socket) -> None:
        cl, _ = listen_sock.accept()
        cl.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if webrepl.server_handshake(cl):
            stream = _webrepl._webrepl(websocket.websocket(cl, True))
            cl.setblocking(False)
            os.dupterm(stream)
            cl.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, os.dupterm_notify)
            os.dupterm_notify(None)

    webrepl.start(port=port, password=password, accept_handler=accept)


def without_nodelay() -> None:
    """Let servers imported from now on set an option that changes nothing where they set TCP_NODELAY."""
    import sys

    class Socket:
        # TCP_KEEPINTVL, of a connection that is not kept alive.
        TCP_NODELAY = 5

        def __getattr__(self, name: str) -> object:
            return getattr(socket, name)

    sys.modules["socket"] = Socket()


def yardstick(port: int) -> None:
    """Serve what a WebREPL serves with nothing in between: same bytes, same turns, no frames, nothing checked.

    One blocking loop that allocates next to nothing. Files go in the pieces that the firmware's _webrepl takes.
    """
    listen_s = socket.socket()
    listen_s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listen_s.bind(socket.getaddrinfo("0.0.0.0", port)[0][-1])
    listen_s.listen(1)
    print("listening")
    while True:
        cl, _ = listen_s.accept()
        cl.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The request comes in one piece, the password too.
        cl.recv(1024)
        cl.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        )
        cl.write(b"Password: ")
        cl.recv(16)
        cl.write(b"\r\nWebREPL connected\r\n>>> ")
        _session(cl)
        cl.close()


def _session(cl: socket.socket) -> None:
    key = bytearray(1)
    while cl.readinto(key):
        if key == b"W":
            request = cl.read(81)
            name = request[17:].split(b"\0")[0].decode()
            if request[1] == _PUT:
                _put(cl, name, int.from_bytes(request[11:15], "little"))
            else:
                _get(cl, name)
            cl.write(_STATUS)
        elif key == b"\r":
            lines(cl)
            cl.write(b">>> ")
        else:
            cl.write(key)


def _put(cl: socket.socket, name: str, size: int) -> None:
    with open(name, "wb") as f:
        cl.write(_STATUS)
        buf = bytearray(512)
        while size >= 512:
            cl.readinto(buf)
            f.write(buf)
            size -= 512
        f.write(cl.read(size))


def _get(cl: socket.socket, name: str) -> None:
    with open(name, "rb") as f:
        cl.write(_STATUS)
        turn = bytearray(1)
        buf = memoryview(bytearray(2 + 256))
        piece = buf[2:]
        size = 256
        while size:
            cl.readinto(turn)
            size = f.readinto(piece)
            buf[0] = size & 255
            buf[1] = size >> 8
            cl.write(buf if size == 256 else buf[: 2 + size])
