"""Guessing the password, and sitting at its prompt: on the usual boards, or where clients have several addresses."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import websocket
from board import Board
from client import Client
from playwright.sync_api import Browser
from test_browser import browser as browser
from test_browser import static_host as static_host

MakeBoard = Callable[..., Board]

# Clients of an emulated board all come from one address, QEMU's.
ADDRESSES = pytest.mark.boards("esp32", "edge", reason="clients need more than one address")

ASIDE = """
import time
class Clock:
    ahead = 0
    def __getattr__(self, name): return getattr(time, name)
    def ticks_ms(self): return time.ticks_add(time.ticks_ms(), self.ahead)
webrepl.time = clock = Clock()
"""
"""Gives the server a clock that can be put forward."""


def connect(board: Board, source: str = "") -> Client:
    """Connect without logging in, from this address if one is given."""
    c = Client.__new__(Client)
    sock = socket.create_connection(("127.0.0.1", board.port), 10, source_address=(source, 0) if source else None)
    c.ws = websocket.create_connection(f"ws://127.0.0.1:{board.port}/", timeout=10, socket=sock)
    c.text, c._seen, c.binary = "", 0, bytearray()
    return c


def guess(board: Board, source: str = "") -> str:
    """Try a wrong password; return "" if it was looked at, else why not."""
    with connect(board, source) as c:
        opcode, data = c.ws.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            assert data[:2] == b"\x03\xf5", "1013, try again later"
            return bytes(data[2:]).decode()
        assert data == b"Password: "
        c.type("wrong\r")
        c.wait("Access denied")
        c.wait_end()
        return ""


@contextlib.contextmanager
def guessing(board: Board, source: str = "") -> Iterator[list[str]]:
    """Guess without pause in the background; what came of each is in the list."""
    outcomes: list[str] = []
    end = threading.Event()

    def run() -> None:
        while not end.is_set():
            with contextlib.suppress(OSError, websocket.WebSocketException):
                outcomes.append(guess(board, source))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield outcomes
    finally:
        end.set()
        thread.join()


def log_in(board: Board, source: str = "", patience: float = 5) -> float:
    """Try the right password until it is looked at; return how long that took, in s."""
    start = time.monotonic()
    while True:
        with contextlib.suppress(OSError, websocket.WebSocketException), connect(board, source) as c:
            c.login()
            taken = time.monotonic() - start
            c.ws.close(timeout=1)
            board.wait("EOF received|is gone")
            return taken
        assert time.monotonic() - start < patience, "the owner does not get in"
        time.sleep(0.05)


@pytest.mark.twin
@pytest.mark.boards("esp32", "edge", "lwip", reason="an ESP8266 has no room for the twin, and is like lwip in this")
def test_at_most_12_guesses_in_15_s_then_the_owner(board: Board) -> None:
    with guessing(board) as outcomes:
        time.sleep(15)
    looked_at = outcomes.count("")
    assert 8 <= looked_at <= 12
    assert set(outcomes) - {""} <= {"Wait 1 s", "Wait 2 s", "WebREPL is in use"}
    log_in(board)
    board.wait("and the right one\r\n")
    said = [line for line in board.text.splitlines() if "wrong" in line]
    ip = board.kind.client_address
    assert [line.strip() for line in said] == [
        f"WebREPL: 3 wrong passwords from {ip}",
        f"WebREPL: 6 wrong passwords from {ip}",
        *([f"WebREPL: 12 wrong passwords from {ip}"] if looked_at == 12 else []),
        f"WebREPL: {looked_at} wrong passwords from {ip} and the right one",
    ]


def test_two_slips_cost_nothing(board: Board) -> None:
    assert guess(board) == guess(board) == ""
    assert log_in(board) < 1
    assert "wrong" not in board.text


def test_who_has_logged_in_is_never_slowed(board: Board) -> None:
    log_in(board)
    assert [guess(board) for _ in range(8)] == [""] * 8
    log_in(board)


def test_what_is_no_guess_does_not_count(board: Board) -> None:
    """Reloads, scans, and clients that leave at the prompt, with a line begun or not."""
    for typed in ["", "", "half", "half", "half", ""]:
        with connect(board) as c:
            c.wait("Password: ")
            c.type(typed)
        board.wait("EOF received|is gone")
    assert guess(board) == ""
    log_in(board)
    assert "wrong" not in board.text


def test_clients_that_move_a_file_each_are_never_slowed(board: Board) -> None:
    for i in range(10):
        with connect(board) as c:
            c.login()
            c.put("file", b"%d" % i)
        board.wait("EOF received|is gone")


@ADDRESSES
def test_the_owner_gets_in_while_another_address_guesses(board: Board) -> None:
    with guessing(board, "127.0.0.2"):
        time.sleep(4)
        log_in(board, "127.0.0.3")
        # From now on it is known.
        for _ in range(5):
            log_in(board, "127.0.0.3", patience=2)


@ADDRESSES
def test_many_addresses_share_a_pace(board: Board) -> None:
    start = time.monotonic()
    looked_at = 0
    while time.monotonic() < start + 8:
        for i in range(2, 30):
            looked_at += guess(board, f"127.0.0.{i}") == ""
    assert looked_at <= 3 + 8 + 1


@ADDRESSES
def test_days_later_nobody_waits(board: Board) -> None:
    """Ticks come round again after 12 days, and half of that before, differences turn over."""
    for _ in range(3):
        guess(board, "127.0.0.2")
    assert guess(board, "127.0.0.2") == "Wait 2 s"
    board.run(ASIDE + "clock.ahead = 2**29 + 1000")
    assert guess(board, "127.0.0.2") == ""


@pytest.mark.boards("esp32", "edge", "lwip", reason="the clock takes a heap that an ESP8266 has not")
def test_who_does_not_log_in_gives_way(board: Board) -> None:
    """After 30 s, though it answers pings; who has logged in does not."""
    board.run(ASIDE)
    with connect(board) as sitter:
        sitter.wait("Password: ")
        reader = threading.Thread(target=sitter.wait_end)
        reader.start()
        board.run("clock.ahead = 25_000")
        assert guess(board) == "WebREPL is in use"
        time.sleep(0.3)
        board.run("clock.ahead = 31_000")
        with connect(board) as c:
            c.login()
            reader.join()
            reader = threading.Thread(target=c.wait_end)
            reader.start()
            for ahead in (100_000, 200_000, 300_000):
                board.run(f"clock.ahead = {ahead}")
                assert guess(board) == "WebREPL is in use"
                time.sleep(0.3)
            assert board.run("print(webrepl.client_s is not None)") == "True"
        reader.join()


PAGE = """
window.outcomes = [];
function attempt(i) {
  const socket = new WebSocket("ws://127.0.0.1:PORT/");
  socket.onmessage = event => {
    if (event.data === "Password: ") socket.send("guess" + i + "\\r");
    else if (event.data.includes("denied")) window.outcomes.push("denied");
    else if (event.data.includes("connected")) window.outcomes.push("connected");
  };
  socket.onclose = event => { window.outcomes.push(event.reason); setTimeout(() => attempt(i + 1), 5); };
}
attempt(0);
"""


@pytest.mark.boards("edge", reason="what matters is the browser's side")
def test_a_page_of_another_origin_is_slowed(board: Board, browser: Browser, static_host: str) -> None:
    """A page that the owner visits can connect, and guess, but not faster than others."""
    page = browser.new_page()
    page.goto(static_host)
    page.evaluate(PAGE.replace("PORT", str(board.port)))
    page.wait_for_timeout(8000)
    outcomes = page.evaluate("outcomes")
    page.close()
    assert 4 <= outcomes.count("denied") <= 3 + 4 + 1
    assert "connected" not in outcomes
    assert any(reason.startswith("Wait") for reason in outcomes)
    log_in(board)


def test_a_wrong_guess_does_not_log_in(board: Board) -> None:
    """What C says at the right password is not to be had another way."""
    with connect(board) as c:
        c.wait("Password: ")
        c.ws.send("connected", websocket.ABNF.OPCODE_PING)
        c.ws.send_binary(b"connected")
        c.type("connected")
        board.run("print('connected')")
        assert board.run("print(webrepl._terminal.connection.logged_in)") == "False"
        c.type("\r")
        c.wait("Access denied")
