"""File transfer: binary frames, https://docs.micropython.org/en/latest/reference/repl.html and webrepl_cli.py.

Runs on the usual boards and on the virtual STM32 and ESP8266, as each port reads os.dupterm in its own way. With the
twin of _webrepl where there is heap for it.
"""

from __future__ import annotations

import random

import pytest
from board import USUAL, Board, Kind
from client import GET, PUT, Client

pytestmark = pytest.mark.boards(*USUAL, "stm32", "esp8266", reason="each port reads os.dupterm in its own way")

SIZES = [0, 1, 255, 256, 257, 65536, 1024 * 1024]


@pytest.mark.parametrize("size", SIZES)
def test_put_and_get(board: Board, kind: Kind, size: int) -> None:
    data = random.Random(size).randbytes(min(size, kind.file_size))
    with Client(board.port) as c:
        c.put("data.bin", data)
        assert (board.flash / "data.bin").read_bytes() == data
        assert c.get("data.bin") == data
        assert c.run("print(6*7)") == "42"


@pytest.mark.parametrize("chunk", [1, 7, 255, 256, 512, 1024, 4096])
def test_put_in_frames_of_any_size(board: Board, kind: Kind, chunk: int) -> None:
    data = random.Random(chunk).randbytes(200 * chunk if chunk < 100 else min(200_000, kind.file_size))
    with Client(board.port) as c:
        c.put("data.bin", data, chunk)
        assert (board.flash / "data.bin").read_bytes() == data


def test_get_with_all_acknowledgements_at_once(board: Board, kind: Kind) -> None:
    """As many answers in a row as the heap has no room for."""
    data = random.Random(2).randbytes(min(100_000, kind.file_size))
    with Client(board.port) as c:
        c.put("data.bin", data)
        c.request(GET, "data.bin")
        assert c.status() == 0
        blocks = -(-len(data) // 256)
        c.ws.send_binary(bytes(blocks + 1))
        got = b"".join(c.take(int.from_bytes(c.take(2), "little")) for _ in range(blocks))
        assert (got, c.take(2), c.status()) == (data, b"\0\0", 0)
        assert c.run("print(6*7)") == "42"


def test_put_replaces_a_file(board: Board) -> None:
    with Client(board.port) as c:
        c.put("a", b"long content")
        c.put("a", b"short")
        assert c.get("a") == b"short"


def test_name_of_64_bytes_and_folders(board: Board) -> None:
    board.run("import os; os.mkdir('lib')")
    name = "lib/" + "n" * 59
    with Client(board.port) as c:
        c.put(name, b"x")
        assert (board.flash / name).read_bytes() == b"x"
        assert c.get(name) == b"x"


def test_version(board: Board) -> None:
    with Client(board.port) as c:
        assert c.version() == eval(board.run("import sys; print(sys.implementation.version[:3])"))
        assert c.run("print(6*7)") == "42"


def test_files_and_keys_in_turn(board: Board) -> None:
    with Client(board.port) as c:
        for i in range(20):
            c.put("n", str(i).encode())
            assert c.run("print(open('n').read())") == str(i)


@pytest.mark.c_module
def test_file_that_cannot_be_opened_ends_the_session(board: Board) -> None:
    for operation, name, error in (
        (GET, "missing", "ENOENT"),
        (PUT, "no/folder", "ENOENT"),
        (PUT, "/", "EISDIR|EPERM"),
    ):
        with Client(board.port) as c:
            c.request(operation, name, 1)
            c.wait_end()
        board.wait("dupterm: Exception in read.*" + f"({error})")
    with Client(board.port) as c:
        assert c.run("print(6*7)") == "42"


def test_transfer_needs_login(board: Board) -> None:
    with Client(board.port, login=False) as c:
        c.request(GET, "webrepl_cfg.py")
        c.type("\r")
        c.wait("Access denied")
        assert not c.binary


@pytest.mark.boards(*USUAL, "esp8266", reason="an STM32 reads a client where it waits for a key only")
def test_transfer_while_a_program_runs(board: Board, kind: Kind) -> None:
    data = random.Random(1).randbytes(min(100_000, kind.file_size))
    with Client(board.port) as c:
        c.type("import time\rwhile True: print('tick'); time.sleep_ms(1)\r\r")
        c.wait("tick")
        c.put("data.bin", data)
        assert c.get("data.bin") == data
        c.type("\x03")
        c.wait("KeyboardInterrupt")
