"""How long things take: marks that a server which waits where it need not misses by far, with room for a busy PC."""

from __future__ import annotations

import itertools
import os
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from board import Board
from client import GET, Client

MakeBoard = Callable[..., Board]


def seconds(do: Callable[[], object]) -> float:
    """Return how long it takes to do something."""
    start = time.monotonic()
    do()
    return time.monotonic() - start


# What a user does again and again. Each yields when it is done once.


def keys(c: Client) -> Iterator[None]:
    """Type keys, and wait for the echo of each."""
    while True:
        c.type("x")
        c.wait("x")
        yield


def lines(c: Client) -> Iterator[None]:
    """Run a line, and wait for the prompt after what it prints."""
    while True:
        c.run("print(6*7)")
        yield


def several_lines(c: Client) -> Iterator[None]:
    """Run a line that prints more than one."""
    while True:
        c.run("print(1); print(2); print(3)")
        yield


def pieces(c: Client) -> Iterator[None]:
    """Read a file in pieces of 256 bytes."""
    c.request(GET, "file")
    assert c.status() == 0
    while True:
        c.ws.send_binary(b"\0")
        assert int.from_bytes(c.take(2), "little") == 256
        c.take(256)
        yield


def typical(c: Client, does: Callable[[Client], Iterator[None]], before: Callable[[], object] = lambda: None) -> float:
    """Return how long it takes the client to do something, in seconds: the median of some."""
    again = does(c)
    next(again)
    times = []
    for _ in range(11):
        before()
        times.append(seconds(lambda: next(again)))
    return statistics.median(times)


ROUND_TRIP = 0.010


@pytest.fixture
def far(make_board: MakeBoard) -> Board:
    """Return a board at a round trip of 10 ms, with a file."""
    board = make_board(round_trip_ms=10)
    board.write("file", os.urandom(256 * 20))
    return board


FAR = pytest.mark.boards("lwip", reason="its network has a round trip; an ESP8266 has pauses of its own beside that")


@FAR
@pytest.mark.parametrize(
    ("does", "round_trips"),
    [
        # What is sent in two segments, of which the second waits for the acknowledgement of the first, takes two.
        (keys, 1.1),
        (pieces, 1.1),
        (lines, 1.5),
        (several_lines, 1.5),
    ],
)
def test_exchange_takes_a_round_trip(far: Board, does: Callable[[Client], Iterator[None]], round_trips: float) -> None:
    """An echo, and 256 bytes of a file, take one; so nearly does a line until its prompt."""
    with Client(far.port) as c:
        took = typical(c, does)
        # A file is not read to its end: without a close frame, which the C module could take for a byte of it.
        c.vanish()
        assert took < (round_trips + 0.2) * ROUND_TRIP


@FAR
def test_300_lines(far: Board) -> None:
    """A long output comes in full segments: at a segment a write, it takes seconds."""
    with Client(far.port) as c:

        def print_lines() -> None:
            c.type("for i in range(300): print('This is line number', i)\r\r")
            c.wait("number 299\r\n>>> ")

        assert min(seconds(print_lines) for _ in range(2)) < 0.15


@FAR
def test_paste_of_10_kb(far: Board) -> None:
    """It comes whole, and its echo is not sent key by key."""
    text = "".join(f"v.append({i})\r" for i in range(100, 880))
    assert len(text) > 10_000
    with Client(far.port, timeout=20) as c:
        c.type("v = []\r\x05")
        c.wait("=== $")

        def paste() -> None:
            sender = threading.Thread(target=c.type, args=(text + "print(len(v), sum(v))\r\x04",))
            sender.start()
            c.wait(f"780 {sum(range(100, 880))}\r\n>>> ")
            sender.join()

        assert seconds(paste) < 1.0


@pytest.mark.boards("esp32", "esp32-1.29", "edge", reason="QEMU's network acknowledges at once: only Linux' delays it")
@pytest.mark.parametrize("does", [keys, lines, several_lines, pieces])
def test_nothing_waits_for_a_delayed_ack(board: Board, does: Callable[[Client], Iterator[None]]) -> None:
    """A client that has nothing to send acknowledges after 40 ms only: RFC 1122 §4.2.3.2, and Linux' TCP_DELACK_MIN."""
    board.write("file", os.urandom(256 * 20))
    with Client(board.port) as c:
        sock = c.ws.sock
        assert sock is not None
        # It must be asked for each time: tcp(7).
        took = typical(c, does, lambda: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0))
        c.vanish()
        assert took < 0.020


@pytest.mark.boards("esp32-1.27", "esp32-ticks", reason="those with an ESP32's tick")
def test_get_at_another_pace_than_the_ticks(board: Board) -> None:
    """One piece of 256 bytes at each look at the sockets would be one in 80 ms up to 1.27, and in 10 ms since."""
    data = os.urandom(20_000)
    board.write("data", data)
    looks = len(data) // 256
    limit = looks * 0.080 / 5 if "BOARD_DUPTERM" in board.kind.environment else looks * 0.010 / 2

    with Client(board.port) as c:
        assert c.get("data") == data
        assert min(seconds(lambda: c.get("data")) for _ in range(2)) < limit


PAUSE = """
import time
def longest_pause(ms, sleep):
    worst = 0
    end = time.ticks_add(time.ticks_ms(), ms)
    while time.ticks_diff(end, time.ticks_ms()) > 0:
        since = time.ticks_us()
        if sleep: time.sleep_ms(1)
        worst = max(worst, time.ticks_diff(time.ticks_us(), since))
    return worst
"""


@pytest.mark.boards("esp32-1.27", "esp32-ticks", "esp32-1.29", "edge", "lwip", reason="with a tick, and with events")
@pytest.mark.parametrize("operation", ["get", "put"])
def test_program_goes_on_during_a_transfer(board: Board, operation: str) -> None:
    """A program that looks at the clock is kept from it for less than 50 ms while files are moved."""
    data = os.urandom(30_000)
    board.run(PAUSE)
    with Client(board.port) as c:
        c.put("data", data)

        def pause() -> float:
            c.type("print('worst', longest_pause(800, True), 'us')\r")
            c.wait(r"\)\r\n")
            end = time.monotonic() + 0.6
            while time.monotonic() < end:
                if operation == "get":
                    assert c.get("data") == data
                else:
                    c.put("other", data)
            return int(c.wait(r"worst (\d+) us")[1]) / 1e6

        # Of three tries, as the machine may have other things to do.
        assert min(pause() for _ in range(3)) < 0.050


# What is printed while a program goes on.

COMPUTE = """
import time
def compute(ms):
    end = time.ticks_add(time.ticks_ms(), ms)
    while time.ticks_diff(end, time.ticks_ms()) > 0: pass
"""
ALL = ("esp32", "esp32-ticks", "esp32-1.27", "esp32-1.29", "edge", "stm32", "esp8266", "lwip", "lwip-esp8266")


@pytest.mark.boards(*ALL, reason="all send in their own way")
def test_print_is_seen_while_the_program_computes(board: Board) -> None:
    """What is printed is with the client within 50 ms, though the program neither reads nor sleeps after it."""
    board.run(COMPUTE)
    with Client(board.port) as c:
        c.type("for i in range(6): print('begin', *('x' * 200,) * (i % 3)); compute(150)\r\r")
        came = []
        for i in range(6):
            c.wait("begin" + " x{200}" * (i % 3) + "\r\n")
            came.append(time.monotonic())
        c.wait(">>> $")
        # From a print to the next there are 150 ms.
        pauses = [b - a for a, b in itertools.pairwise([*came, time.monotonic()])]
        assert all(0.100 < pause < 0.200 for pause in pauses), pauses


@pytest.mark.boards(*ALL, reason="all end in their own way")
def test_print_before_a_reset_is_seen(board: Board) -> None:
    """A program that says why it restarts the board, and waits a little, has said it to the client."""
    with Client(board.port) as c:
        c.type("import machine, time; print('6*7=%d' % 42); time.sleep_ms(30); machine.reset()\r")
        c.wait("6\\*7=42\r\n")
