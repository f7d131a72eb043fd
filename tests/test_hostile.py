"""What strangers and accidents do to the server: nobody stalls it, breaks it, wears it out or keeps others out."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import websocket
from board import PASSWORD, TIMEOUT, Board, Kind
from client import PUT, REQUEST, Client, connect, file_request, frame, reset

MakeBoard = Callable[..., Board]

MEMORY = "import gc; gc.collect(); print(gc.mem_alloc())"


def page(board: Board) -> str:
    """Fetch the page."""
    with connect(board.port) as s:
        s.sendall(b"GET / HTTP/1.1\r\n\r\n")
        data = b""
        while part := s.recv(4096):
            data += part
        return data.decode()


def in_use(board: Board) -> bool:
    """Connect as a WebSocket client; tell if the place is taken."""
    with Client(board.port, login=False) as c:
        opcode, data = c.ws.recv_data()
        return opcode == websocket.ABNF.OPCODE_CLOSE and bytes(data[:2]) == b"\x03\xf5"


# Nobody comes between a program and its files.


def test_connections_do_not_look_on_the_flash(board: Board) -> None:
    """An import would, in the middle of what a program writes, where the flash is driven in Python (ESP8266)."""
    for name in ("binascii", "gc", "hashlib", "io", "machine", "select", "socket", "sys", "time", "websocket"):
        board.write(f"{name}.py", "raise OSError('imported from the flash')\n")
    assert "200 OK" in page(board)
    with Client(board.port) as c:
        assert in_use(board)
        c.type("\x05" + "#" * 1000 + "\rprint(6*7)\r\x04")
        c.wait("42\r\n>>> ")
    assert "Traceback" not in board.text


# Nobody stalls a program.

PROGRAM = """
import time
def longest_pause(ms):
    worst = 0
    end = time.ticks_add(time.ticks_ms(), ms)
    last = time.ticks_us()
    while time.ticks_diff(end, time.ticks_ms()) > 0:
        now = time.ticks_us()
        worst = max(worst, time.ticks_diff(now, last))
        last = now
    return worst
"""


def longest_pause_us(board: Board) -> int:
    """Run the program; return its longest pause: the best of three, as the machine may have other things to do."""
    return min(int(board.run("print(longest_pause(300))")) for _ in range(3))


SLOW = {"silent": b"", "stops in the first line": b"GET / HT", "stops in a header": REQUEST[:80]}


def drip(s: socket.socket, stop: threading.Event) -> None:
    """Send a request so slowly that it will never end."""
    with contextlib.suppress(OSError):
        while not stop.wait(0.02):
            s.sendall(b"G")
            s.sendall(b"ET / HTTP/1.1\r\nX: ")


@contextlib.contextmanager
def sending(s: socket.socket, data: bytes) -> Iterator[None]:
    """Send this again and again meanwhile."""
    stop = threading.Event()

    def send() -> None:
        with contextlib.suppress(OSError):
            while not stop.is_set():
                s.sendall(data)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        stop.set()
        # It may wait for room.
        s.shutdown(socket.SHUT_RDWR)
        sender.join()


@pytest.mark.parametrize("attack", [*SLOW, "drips", "many at once"])
def test_no_stall(board: Board, attack: str) -> None:
    board.run(PROGRAM)
    with contextlib.ExitStack() as stack:
        stop = threading.Event()
        stack.callback(stop.set)
        if attack in SLOW:
            stack.enter_context(connect(board.port)).sendall(SLOW[attack])
        elif attack == "drips":
            s = stack.enter_context(connect(board.port))
            threading.Thread(target=drip, args=(s, stop), daemon=True).start()
        else:
            for i in range(10):
                stack.enter_context(connect(board.port)).sendall(REQUEST[:i])
        assert longest_pause_us(board) < 50_000


# What a client may send without end at the password prompt: keys of an attempt that never ends, empty frames, pings.
FLOODS = {
    "keys": b"\x81\xfe\x01\x00mask" + bytes(256),
    "empty frames": b"\x81\x80mask" * 40,
    "pings": b"\x89\x80mask" * 40,
}


@pytest.mark.parametrize("flood", FLOODS)
def test_flood_at_the_password_prompt(board: Board, flood: str) -> None:
    board.run(PROGRAM)
    with Client(board.port, login=False) as c:
        assert c.ws.sock
        with sending(c.ws.sock, FLOODS[flood]):
            assert longest_pause_us(board) < 50_000


@pytest.mark.parametrize("attack", SLOW)
def test_slow_clients_keep_nobody_out(board: Board, kind: Kind, attack: str) -> None:
    with contextlib.ExitStack() as stack:
        # As many as leave the network room for two that are served.
        for _ in range(min(5, kind.connections - 2)):
            stack.enter_context(connect(board.port)).sendall(SLOW[attack])
        assert page(board).startswith("HTTP/1.1 200 OK")
        with Client(board.port) as c:
            assert c.run("print(6*7)") == "42"


def test_a_slow_request_of_two_is_served(board: Board) -> None:
    with connect(board.port) as slow, connect(board.port) as spare:
        slow.sendall(b"GET / HT")
        board.run("print(1)")
        slow.sendall(b"TP/1.1\r\n\r\n")
        assert slow.recv(15) == b"HTTP/1.1 200 OK"
        spare.sendall(b"GET /x HTTP/1.1\r\n\r\n")
        assert spare.recv(12) == b"HTTP/1.1 404"


@pytest.mark.boards("esp32", "lwip", reason="each case takes 5 s, and the loop that counts them is one for all")
@pytest.mark.parametrize(
    ("call", "attack"), [("accept_conn(s)", "silent"), ("server_handshake(s.accept()[0])", "drips")]
)
def test_waiting_calls_have_a_deadline(make_board: MakeBoard, call: str, attack: str) -> None:
    board = make_board("import webrepl")
    board.run(f"""
import socket, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('', {board.port}))
s.listen(1)
""")
    stop = threading.Event()
    with connect(board.port) as cl:
        if attack == "drips":
            threading.Thread(target=drip, args=(cl, stop), daemon=True).start()
        out = board.run(
            f"t = time.ticks_ms(); print(webrepl.{call}, 4000 < time.ticks_diff(time.ticks_ms(), t) < 7000)", timeout=20
        )
        stop.set()
    assert out == "False True"


# The client that vanished.


class Relay:
    """Pass on what a client and the board say to each other, until the network is gone and nobody is told."""

    def __init__(self, port: int) -> None:
        self._gone = threading.Event()
        self._board = port
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        self.port: int = self._sockets[0].getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        client, _ = self._sockets[0].accept()
        board = socket.create_connection(("127.0.0.1", self._board))
        self._sockets += [client, board]
        for a, b in ((client, board), (board, client)):
            threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self._gone.is_set():
                    sink.sendall(data)

    def vanish(self) -> None:
        """From now on, nothing is passed on, not even the end of a connection."""
        self._gone.set()

    def close(self) -> None:
        """End all connections."""
        for s in self._sockets:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()


@pytest.fixture
def relay(board: Board) -> Iterator[Relay]:
    """Return a relay to the board."""
    relay = Relay(board.port)
    yield relay
    relay.close()


CLOCK = """
import time
class Clock:
    # The server's clock, which can be put forward.
    ahead = 0
    def ticks_ms(self):
        return time.ticks_add(time.ticks_ms(), self.ahead)
    def __getattr__(self, name):
        return getattr(time, name)
import webrepl
webrepl.time = clock = Clock()
"""


@contextlib.contextmanager
def reading(c: Client) -> Iterator[None]:
    """Let a client read, and so answer pings, in the background."""

    def read() -> None:
        with contextlib.suppress(websocket.WebSocketException, OSError):
            while True:
                c.receive()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    yield
    assert c.ws.sock is not None
    c.ws.sock.shutdown(socket.SHUT_RDWR)
    thread.join(TIMEOUT)


@pytest.mark.boards("esp32", "lwip", reason="it takes 5 s; by the server's clock, all do it")
def test_vanished_client_is_replaced_in_real_time(board: Board, relay: Relay) -> None:
    with Client(relay.port) as gone:
        assert gone.run("print(1)") == "1"
        relay.vanish()
        asked = time.monotonic()
        assert in_use(board)
        while time.monotonic() < asked + 4.5:
            assert in_use(board)
            time.sleep(0.5)
        time.sleep(max(0, asked + 5.7 - time.monotonic()))
        with Client(board.port) as c:
            board.wait("WebREPL client is gone\r\n.*WebREPL connection from")
            assert c.run("print(6*7)") == "42"


def test_vanished_client_stays_if_nobody_asks(board: Board, relay: Relay) -> None:
    board.run(CLOCK)
    with Client(relay.port) as gone:
        relay.vanish()
        board.run("clock.ahead += 3600_000; print(webrepl.client_s is not None)")
        # The hour does not count: it has not been asked yet.
        assert in_use(board)
        board.run("clock.ahead += 4000")
        assert in_use(board)
        board.run("clock.ahead += 1100")
        with Client(board.port) as c:
            assert c.run("print(6*7)") == "42"
        gone.vanish()


def test_live_client_is_never_replaced(board: Board) -> None:
    board.run(CLOCK)
    with Client(board.port) as c, reading(c):
        for _ in range(5):
            assert in_use(board)
            # The answer to the ping is taken in before the prompt comes back.
            time.sleep(0.05)
            board.run("clock.ahead += 60_000")
        assert board.run("print(webrepl.client_s is not None)") == "True"


def test_client_that_typed_is_not_replaced(board: Board, relay: Relay) -> None:
    board.run(CLOCK)
    with Client(relay.port) as c:
        # This client does not answer pings while it does not read.
        for i in range(3):
            assert in_use(board)
            board.run("clock.ahead += 4000")
            c.type(str(i))
            board.wait(f"{i}$")
            board.type("\x08")
            board.run("clock.ahead += 4000")


# Nothing is left behind.


def handshake(s: socket.socket) -> None:
    """Become a WebSocket client, up to the password prompt."""
    s.sendall(REQUEST)
    data = b""
    while b"Password: " not in data and b"in use" not in data:
        data += s.recv(4096)


BROKEN: dict[str, Callable[[socket.socket], object]] = {
    "connects and leaves": socket.socket.close,
    "connects and resets": reset,
    "half a line": lambda s: (s.sendall(b"GET / HT"), s.close()),
    "half a line, reset": lambda s: (s.sendall(b"GET / HT"), reset(s)),
    "half a request": lambda s: (s.sendall(REQUEST[:100]), s.close()),
    "half a request, reset": lambda s: (s.sendall(REQUEST[:100]), reset(s)),
    "page not read": lambda s: (s.sendall(b"GET / HTTP/1.1\r\n\r\n"), reset(s)),
    "not found": lambda s: (s.sendall(b"GET /x HTTP/1.1\r\n\r\n"), s.recv(1000), s.close()),
    "junk": lambda s: (s.sendall(random.randbytes(100)), s.close()),
    "TLS": lambda s: (s.sendall(b"\x16\x03\x01\x02\x00\x01\x00"), s.recv(10), s.close()),
    "too large": lambda s: (s.sendall(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2000), s.close()),
    "handshake, leaves": lambda s: (s.sendall(REQUEST), s.close()),
    "handshake, reset": lambda s: (s.sendall(REQUEST), reset(s)),
    "prompt, leaves": lambda s: (handshake(s), s.close()),
    "prompt, reset": lambda s: (handshake(s), reset(s)),
    "wrong password": lambda s: (handshake(s), s.sendall(frame(1, b"wrong\r")), s.recv(100), s.close()),
    "close frame": lambda s: (handshake(s), s.sendall(frame(8, b"\x03\xe8")), s.recv(100), s.close()),
    "half a frame": lambda s: (handshake(s), s.sendall(frame(1, b"xyz")[:4]), s.close()),
    "frame of 64 KiB": lambda s: (handshake(s), s.sendall(b"\x81\xff\0\0\0\0\0\1\0\0"), s.close()),
    "dies in a PUT": lambda s: (
        handshake(s),
        s.sendall(frame(1, PASSWORD.encode() + b"\r")),
        s.sendall(frame(2, file_request(PUT, "f", 999) + b"xxx")),
        reset(s),
    ),
}


@pytest.mark.timeout(300)
def test_broken_connections_leave_nothing_behind(board: Board, kind: Kind) -> None:
    rounds = 5 if kind.emulated else 250

    def soak(rounds: int) -> None:
        for _ in range(rounds):
            for broken in BROKEN.values():
                with contextlib.suppress(OSError), connect(board.port) as s:
                    broken(s)
                # All that has come is dealt with before this is; more than the backlog would have to try again.
                page(board)
        with contextlib.suppress(websocket.WebSocketException, OSError):
            in_use(board)

    soak(5)
    board.run("webrepl.client_s and webrepl.client_s.close()")
    soak(1)
    descriptors, allocated, shown = board.resources(), int(board.run(MEMORY)), len(board.text)
    soak(rounds)
    assert "Traceback" not in board.text
    lines = board.text[shown:].count("\n")
    assert lines < rounds * len(BROKEN) * 1.2
    board.wait_resources(descriptors + 2)
    assert int(board.run(MEMORY)) <= allocated + 1000
    with Client(board.port) as c:
        assert c.run("print(6*7)") == "42"


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "MemoryError", "OSError(104)"])
@pytest.mark.parametrize("where", ["_request", "_attach", "send_html"])
def test_exception_in_a_callback_closes_the_socket(board: Board, where: str, error: str) -> None:
    before = board.resources()
    # _request() is a generator: it fails where it is read on.
    fail = f"def fail(*args):\n    raise {error}\n" + ("    yield\n" if where == "_request" else "")
    board.run(f"{fail}was = webrepl.{where}; webrepl.{where} = fail")
    with connect(board.port) as s, contextlib.suppress(ConnectionError):
        s.sendall(b"GET / HTTP/1.1\r\n\r\n" if where == "send_html" else REQUEST)
        while s.recv(1000):
            pass
    board.run(f"webrepl.{where} = was; webrepl._drop()")
    board.wait_resources(before)
    with Client(board.port) as c:
        assert c.run("print(6*7)") == "42"


def test_late_call_is_harmless(board: Board) -> None:
    """A socket's callback may be called once more than there is a use for, as it was scheduled before."""
    board.run("import socket; s = socket.socket(); s.bind(('', 0)); s.listen(1); s.settimeout(0)")
    calls = "webrepl._on_request(s), webrepl._on_connection(s), webrepl._on_timer(None), len(webrepl._requests)"
    assert board.run(f"print({calls})") == "None None None 0"
    assert board.run(f"s.close(); print({calls})") == "None None None 0"
    with Client(board.port) as c:
        assert c.run("print(6*7)") == "42"


FILL = """
import gc
from machine import Timer
hog = []
try:
    timer = Timer(-1)
except ValueError:
    timer = Timer(0)
def free(_):
    hog.clear()
def fill(left):
    timer.init(mode=Timer.ONE_SHOT, period=1000, callback=free)
    gc.collect()
    # Soon enough on an emulated board, too.
    while gc.mem_free() > left + 2000:
        hog.append(bytearray(1000))
    while gc.mem_free() > left:
        hog.append(bytearray(32))
"""


def test_too_little_memory_for_a_client(make_board: MakeBoard) -> None:
    board = make_board(heap="64k")
    board.run(FILL)
    with Client(board.port) as c:
        assert c.run("print(6*7)") == "42"
    before = board.resources()
    served = set()
    for left in (500, 1000, 1500, 2000, 2500, 3000, 4000, 6000):
        board.type(f"fill({left})\r")
        board.wait(">>> ")
        for _ in range(3):
            try:
                with Client(board.port, timeout=0.3):
                    served.add(True)
            except (OSError, websocket.WebSocketException):
                served.add(False)
        # The prompt may be short of memory itself, so the timer is waited for.
        while board.type("\rprint(len(hog))\r") or board.wait(r"(\d+|MemoryError)[^\n]*\r\n>>> ")[1] != b"0":
            pass
        board.run("gc.collect()")
        with Client(board.port) as c:
            assert c.run("print(6*7)") == "42", left
        board.wait("EOF received|client is gone")
    assert served == {True, False}
    board.wait_resources(before + 1)


# Boards that lack something.

WITHOUT = """
import os, socket, sys
class Without:
    def __init__(self, module, *names): self.module = module; self.names = names
    def __getattr__(self, name):
        if name in self.names: raise AttributeError(name)
        return getattr(self.module, name)
class Deaf:
    # A socket without callbacks.
    def __init__(self, sock): self.sock = sock
    def __getattr__(self, name): return getattr(self.sock, name)
    def setsockopt(self, level, option, value):
        if option == 20: raise OSError(22)
        self.sock.setsockopt(level, option, value)
class DeafSockets(Without):
    def socket(self): return Deaf(socket.socket())
import webrepl
"""


def test_no_tcp_nodelay(make_board: MakeBoard) -> None:
    board = make_board("")
    board.run(WITHOUT + f"webrepl.socket = Without(socket, 'TCP_NODELAY'); webrepl.start({board.port})")
    with Client(board.port) as c:
        assert c.run("print(6*7)") == "42"


@pytest.mark.boards("stm32", reason="the only port that has none")
def test_no_dupterm_notify(board: Board) -> None:
    assert not eval(board.run("import os; print(hasattr(os, 'dupterm_notify'))"))
    assert "200 OK" in page(board)
    with Client(board.port, login=False) as c:
        assert in_use(board)
        c.login()
        assert c.run("print(6*7)") == "42"
    assert "Traceback" not in board.text


def test_no_socket_callbacks(make_board: MakeBoard) -> None:
    board = make_board("")
    before = board.resources()
    out = board.run(
        WITHOUT + f"webrepl.socket = DeafSockets(socket); webrepl.start({board.port}); print(webrepl.listen_s)"
    )
    assert out.splitlines() == ["Use start_foreground()", "None"]
    board.wait_resources(before)
    board.type(f"webrepl.start_foreground({board.port})\r")
    board.wait("WebREPL server started on")
    with Client(board.port) as c:
        assert c.run("print(6*7)") == "42"


def test_not_http_is_not_mentioned(board: Board) -> None:
    shown = len(board.text)
    for name in ("junk", "TLS", "connects and leaves", "half a line", "too large"):
        with contextlib.suppress(OSError), connect(board.port) as s:
            BROKEN[name](s)
    page(board)
    board.run("print(1)")
    assert re.sub(r"raw REPL.*", "", board.text[shown:], flags=re.DOTALL).strip() == ""
