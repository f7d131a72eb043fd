"""The page's script from the board's flash: in slices, each of them what a send buffer surely takes."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from board import ROOT, TIMEOUT, Board, write_flash
from client import Client

FILE = ROOT / "page" / "dist" / "webrepl_content.js.gz"
SCRIPT = "/webrepl_content.js"
# The send buffer of an ESP8266, in bytes.
SEND_BUFFER = 1072
LOADER = 10
SLICE = 990


@pytest.fixture
def served(make_board: Callable[..., Board], tmp_path: Path) -> Board:
    """Return a board that has the page on its flash."""
    flash = tmp_path / "flash"
    write_flash(flash, 0, boot="")
    (flash / "webrepl_cfg.py").write_text("PASS = 'secret'\nBASE = '/'\n")
    shutil.copy(FILE, flash)
    board = make_board(flash=flash)
    board.run(f"import webrepl; webrepl.start(port={board.port})")
    return board


def get(board: Board, path: str) -> bytes:
    """Return all that the board answers to a request of a browser's."""
    with socket.create_connection(("127.0.0.1", board.port), timeout=TIMEOUT) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: board.test\r\nConnection: keep-alive\r\n\r\n".encode())
        data = b""
        while piece := s.recv(65536):
            data += piece
        return data


def body(answer: bytes) -> bytes:
    """Return what a successful answer carries."""
    head, _, data = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    return data


def test_whole_file(served: Board) -> None:
    data = b""
    while piece := body(answer := get(served, f"{SCRIPT}?{len(data)}")):
        if served.kind.emulated:
            assert len(answer) <= SEND_BUFFER
        assert len(piece) >= SLICE or len(data) + len(piece) == FILE.stat().st_size
        data += piece
    assert data == FILE.read_bytes()


def test_loader(served: Board) -> None:
    """Without an offset comes the slice that is JavaScript: the comment in the header, of which nothing is missing."""
    loader = body(get(served, SCRIPT))
    data = FILE.read_bytes()
    assert loader == data[LOADER : LOADER + SLICE]
    assert data[LOADER + SLICE] == 0
    assert loader.isascii()
    assert loader.rstrip().endswith(b"})();")
    for query in ("?", "?x", "?-1", "?1e3", "?0x10", "?%31"):
        assert body(get(served, SCRIPT + query)) == loader


def test_past_the_end(served: Board) -> None:
    size = FILE.stat().st_size
    assert body(get(served, f"{SCRIPT}?{size}")) == b""
    assert body(get(served, f"{SCRIPT}?{size + 1000}")) == b""
    # More than a file can be long.
    get(served, f"{SCRIPT}?{10**40}")
    assert len(body(get(served, f"{SCRIPT}?0"))) >= SLICE


@pytest.mark.parametrize(
    "path",
    [
        SCRIPT + ".gz",
        "/" + SCRIPT,
        SCRIPT + "/",
        SCRIPT + "%00",
        SCRIPT + "/../boot.py",
        "/./webrepl_content.js",
        "/webrepl_cfg.py",
        "/boot.py",
        "/boot.py?0",
        "/../webrepl_content.js",
        "/WEBREPL_CONTENT.JS",
    ],
)
def test_nothing_else(served: Board, path: str) -> None:
    answer = get(served, path)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"PASS" not in answer


def test_without_the_file(served: Board) -> None:
    served.remove(FILE.name)
    assert get(served, SCRIPT) == b""
    assert SCRIPT[1:].encode() in body(get(served, "/"))
    assert "Traceback" not in served.text


def test_program_and_clients_go_on(served: Board) -> None:
    """Clients that ask and read nothing hold up neither the program nor others.

    There are never more than two: lwIP has five connections, and these take theirs until they leave.
    """
    served.type(
        "import time\rt = time.ticks_ms(); longest = 0; end = t + 2000\r"
        "while time.ticks_diff(end, t) > 0: time.sleep_ms(1); now = time.ticks_ms(); "
        "longest = max(longest, time.ticks_diff(now, t)); t = now\r\r"
    )
    served.wait("t = now")
    request = f"GET {SCRIPT}?0 HTTP/1.1\r\n\r\n".encode()
    silent: list[socket.socket] = []
    with Client(served.port) as client:
        for _ in range(30):
            if len(silent) == 2:
                silent.pop(0).close()
            s = socket.create_connection(("127.0.0.1", served.port), timeout=TIMEOUT)
            s.sendall(request)
            silent.append(s)
            assert len(body(get(served, f"{SCRIPT}?990"))) >= SLICE
        served.wait(r"\n>>> ")
        assert int(client.run("print(longest)")) < 50
        for s in silent:
            s.close()
