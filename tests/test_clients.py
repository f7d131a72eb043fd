"""The tools that people use with WebREPL, each driven for real against a virtual board.

Runs on an ESP32 with its ticks, which tools have to wait for, and on lwIP: the two stacks that there are.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import select
import socket
import subprocess
import threading
import time
import tty
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from board import PASSWORD, ROOT, TIMEOUT, Board, BoardError, write_flash
from client import Client

pytestmark = pytest.mark.boards("esp32-ticks", "lwip", reason="one of each stack, as slow as it is")

BIN = ROOT / "build" / "venv-clients" / "bin"
SESSIONS = Path(__file__).parent / "clients"

DATA = bytes(range(256)) * 20
TEXT = "NAME = 'café'\n"


def call(tool: str, *arguments: str | Path, cwd: Path | None = None, timeout: float = 60) -> str:
    """Run a tool of the clients' environment; return what it printed, fail if it failed."""
    command = [BIN / tool, *arguments]
    process = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def session(name: str, board: Board, *arguments: str | Path) -> str:
    """Run one of the programs that use a client as a library."""
    return call("python", SESSIONS / f"{name}.py", str(board.port), PASSWORD, *arguments)


def is_well(board: Board) -> bool:
    """Tell if the board takes the next client, and has shown no traceback of its own."""
    with Client(board.port) as client:
        return client.run("print(6 * 7)") == "42" and "Traceback" not in board.text


@pytest.fixture
def fixed_board(make_board: Callable[..., Board], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of a board at port 8266: mpfshell knows no other, and tests that run beside may use it too."""
    while True:
        host = f"127.{random.randrange(1, 255)}.{random.randrange(255)}.{random.randrange(1, 255)}"
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind((host, 8266))
            break
    monkeypatch.setenv("BOARD_HOST", host)
    write_flash(tmp_path / "flash", 8266)
    make_board(flash=tmp_path / "flash")
    return host


def test_mpfshell(fixed_board: str, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(DATA)
    commands = [
        f"open ws:{fixed_board},{PASSWORD}",
        "put data.bin",
        "ls",
        "get data.bin copy.bin",
        "exec print('6 * 7 is', 6 * 7)",
        "md sub",
        "cd sub",
        "put data.bin other.bin",
        "cat /boot.py",
    ]
    output = call("mpfshell", "-n", "--nocolor", "-c", "; ".join(commands), cwd=tmp_path)
    assert "Connected" in output
    assert re.search(r"Remote files in '/':\s+boot.py\s+data.bin\s+webrepl_cfg.py|data.bin\s+boot.py", output), output
    assert "6 * 7 is 42\n" in output
    assert "import webrepl\n" in output
    for copy in "copy.bin", "flash/data.bin", "flash/sub/other.bin":
        assert (tmp_path / copy).read_bytes() == DATA


class Terminal:
    """A program on a pseudo-terminal of its own. Use as a context manager, which kills it at the end."""

    def __init__(self, *command: str | Path) -> None:
        self._end, terminal = os.openpty()
        self.process = subprocess.Popen(
            command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
        )
        os.close(terminal)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._end)

    def type(self, keys: bytes) -> None:
        """Type on the terminal."""
        os.write(self._end, keys)

    def wait(self, end: bytes) -> bytes:
        """Wait until the terminal shows the bytes given; return what it has shown up to them."""
        shown = b""
        deadline = time.monotonic() + TIMEOUT
        while end not in shown:
            ready, _, _ = select.select([self._end], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{end!r} did not come, but {shown!r}"
            shown += os.read(self._end, 1024)
        return shown


def test_mpfshell_repl(fixed_board: str) -> None:
    with Terminal(BIN / "mpfshell", "--nocolor", "-o", f"ws:{fixed_board},{PASSWORD}") as shell:
        shell.wait(b"mpfs [/]> ")
        shell.type(b"repl\n")
        shell.wait(b"Exit REPL")
        shell.type(b"print('6 * 7 is', 6 * 7)\r")
        shell.wait(b"6 * 7 is 42")
        # The way back to its shell is left out: its terminal may still be reading, and take what the shell waits for.


@pytest.mark.boards("esp32-ticks", "edge", reason="it imports machine.Pin, which the emulated board has not")
def test_belay(board: Board, tmp_path: Path) -> None:
    (tmp_path / "sync" / "data").mkdir(parents=True)
    (tmp_path / "sync" / "settings.py").write_text(TEXT)
    (tmp_path / "sync" / "data" / "numbers.bin").write_bytes(DATA)
    session("belay_session", board, tmp_path / "sync")
    with Client(board.port) as client:
        # It leaves the board in raw REPL.
        client.type("\x02")
        client.wait(">>> ")
        assert client.run("print(6 * 7)") == "42"


def test_webreplcmd(board: Board, tmp_path: Path) -> None:
    def webreplcmd(*arguments: str) -> str:
        options = ("--host", "127.0.0.1", "--port", str(board.port), "--password", PASSWORD)
        return call("webreplcmd", *options, *arguments, cwd=tmp_path)

    (tmp_path / "data.bin").write_bytes(DATA)
    assert re.fullmatch(r"\[i\] Version  1 \d+ \d+\n", webreplcmd("ver"))
    assert "['boot.py', 'webrepl_cfg.py']" in webreplcmd("ls")
    webreplcmd("put", "data.bin", "data.bin")
    assert (board.flash / "data.bin").read_bytes() == DATA
    webreplcmd("get", "data.bin", "copy.bin")
    assert (tmp_path / "copy.bin").read_bytes() == DATA
    assert webreplcmd("cat", "boot.py").strip() == (board.flash / "boot.py").read_text().strip()
    assert webreplcmd("cmd", "print(6 * 7)").split() == ["print(6", "*", "7)", "42"]
    webreplcmd("rm", "data.bin")
    assert not (board.flash / "data.bin").exists()
    assert is_well(board)


@pytest.mark.parametrize("name", ["thonny_connection", "thonny_backend", "websockets_session", "aiohttp_session"])
def test_session(board: Board, name: str) -> None:
    session(name, board)
    if name != "thonny_connection":
        # The connection's test has the board raise an error of its own.
        assert "Traceback" not in board.text
    with Client(board.port) as client:
        assert client.run("print(6 * 7)") == "42"


class Cable:
    """A serial cable: a second pseudo-terminal, for who wants a device, since the board's own is the board's end."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._out = threading.Event()
        self._end, self._terminal = os.openpty()
        tty.setraw(self._terminal)
        self.device = os.ttyname(self._terminal)
        self._threads = [threading.Thread(target=way, daemon=True) for way in (self._from_board, self._to_board)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Pull the cable out."""
        self._out.set()
        os.close(self._terminal)
        for thread in self._threads:
            thread.join(TIMEOUT)
        os.close(self._end)

    def _from_board(self) -> None:
        while not self._out.is_set():
            with contextlib.suppress(BoardError):
                os.write(self._end, self._board.wait(".+", timeout=0.2)[0])

    def _to_board(self) -> None:
        # Ends with EIO when nobody has the terminal open any more.
        with contextlib.suppress(OSError):
            while True:
                self._board.type(os.read(self._end, 1024))


class Mpremote:
    """An mpremote that is connected to a board's serial console."""

    def __init__(self, board: Board, folder: Path) -> None:
        self.board = board
        self.folder = folder
        self.cable = Cable(board)

    def __call__(self, *arguments: str | Path) -> str:
        """Run a command; return what it printed, fail if it failed."""
        return call("mpremote", "connect", self.cable.device, *arguments, cwd=self.folder)


@pytest.fixture
def mpremote(board: Board, tmp_path: Path) -> Iterator[Mpremote]:
    """Return an mpremote that is connected to a board."""
    tool = Mpremote(board, tmp_path)
    yield tool
    tool.cable.close()


@pytest.fixture
def web_server() -> Iterator[str]:
    """Serve the project's files by HTTP; return the address."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(ROOT))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def which_webrepl(board: Board) -> str:
    """Log in and ask which webrepl.py runs."""
    with Client(board.port) as client:
        return client.run("import webrepl; print(webrepl.__file__)")


def test_mpremote(mpremote: Mpremote, tmp_path: Path) -> None:
    board = mpremote.board
    assert which_webrepl(board) == "webrepl.py"
    assert not (board.flash / "webrepl.py").exists()

    mpremote("fs", "cp", ROOT / "webrepl.py", ":")
    assert (board.flash / "webrepl.py").read_bytes() == (ROOT / "webrepl.py").read_bytes()

    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "settings.py").write_text(TEXT)
    code = "import settings, os; print(os.getcwd(), settings.NAME)"
    assert mpremote("mount", tmp_path / "host", "exec", code).endswith("/remote café\n")

    (tmp_path / "program.py").write_text("print('6 * 7 is', 6 * 7)\n")
    assert mpremote("run", "program.py") == "6 * 7 is 42\n"

    mpremote("soft-reset")
    assert which_webrepl(board) == "webrepl.py"


@pytest.mark.parametrize("source", ["address", "file"])
def test_mip(mpremote: Mpremote, web_server: str, source: str) -> None:
    board = mpremote.board
    package = f"{web_server}/package.json" if source == "address" else str(ROOT / "package.json")
    mpremote("mip", "install", package)
    for name in "webrepl.py", "webrepl_setup.py":
        assert (board.flash / "lib" / name).read_bytes() == (ROOT / name).read_bytes()
    # What is frozen into the firmware comes before /lib.
    mpremote("soft-reset")
    assert which_webrepl(board) == "webrepl.py"
    mpremote("mip", "install", "--target", "/", package)
    assert (board.flash / "webrepl.py").read_bytes() == (ROOT / "webrepl.py").read_bytes()
