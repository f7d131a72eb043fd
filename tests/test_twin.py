"""The twin in Python of the C module _webrepl: where it differs, what it costs, and firmware that has only it.

All they have in common is tested elsewhere, with both: test_files.py, test_repl.py, test_differential.py. Runs on the
unix boards with both kinds of socket events, as it looks at their files and descriptors from outside.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import struct
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import websocket
from board import ROOT, TIMEOUT, TWIN, Board, free_port, write_flash
from client import GET, PUT, Client, reset

pytestmark = pytest.mark.boards("esp32", "edge", reason="it looks at the process, which no emulated chip has")

EPERM, ENOENT, EIO, EISDIR, EINVAL, ENOSPC = 1, 2, 5, 21, 22, 28

FIRMWARE_WITHOUT_WEBREPL = ROOT / "build" / "board-without-webrepl" / "micropython"

# On the board: a websocket at both ends of a connection, w on this one, and what a client sends on the other one.
PAIR = """
import _webrepl, socket, struct, time, websocket
def pair():
    l = socket.socket()
    l.bind(socket.getaddrinfo("127.0.0.1", {port})[0][-1])
    l.listen(1)
    c = socket.socket()
    c.connect(socket.getaddrinfo("127.0.0.1", {port})[0][-1])
    s = l.accept()[0]
    l.close()
    for end in (c, s):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.setblocking(False)
    return c, _webrepl._webrepl(websocket.websocket(s))
def frame(opcode, data):
    return struct.pack(">BBHL", 0x80 | opcode, 0xFE, len(data), 0) + data
def request(operation, name, size=0):
    return frame(2, struct.pack("<2sBBQLH64s", b"WA", operation, 0, 0, size, len(name), name))
c, w = pair()
"""


def frame(data: bytes, opcode: int = websocket.ABNF.OPCODE_BINARY) -> bytes:
    """Return a client's frame."""
    return bytes(websocket.ABNF.create_frame(data, opcode).format())


def key(text: str) -> bytes:
    """Return a frame of keys."""
    return frame(text.encode(), websocket.ABNF.OPCODE_TEXT)


def tcp(c: Client) -> socket.socket:
    """Return the client's TCP connection."""
    assert c.ws.sock
    return c.ws.sock


def test_file_that_cannot_be_opened_gets_a_status(board: Board) -> None:
    (board.flash / "lib").mkdir()
    with Client(board.port) as c:
        descriptors = board.resources()
        for operation, name, status in (
            (GET, "missing", ENOENT),
            (GET, "", EISDIR),
            (GET, "lib", EISDIR),
            (GET, "/", EISDIR),
            (PUT, "no/folder", ENOENT),
            (PUT, "lib", EISDIR),
            (PUT, "/", EPERM),
        ):
            c.request(operation, name, 1)
            assert c.status() == status, (operation, name)
            assert len(c.version()) == 3
        c.put("a", b"as ever")
        assert c.get("a") == b"as ever"
        assert c.run("print(6*7)") == "42"
        assert board.resources() == descriptors


def test_full_disk_gets_a_status(board: Board) -> None:
    (board.flash / "full").symlink_to("/dev/full")
    with Client(board.port) as c:
        descriptors = board.resources()
        for size in (1, 1000, 100_000):
            c.request(PUT, "full", size)
            assert c.status() == 0
            for i in range(0, size, 1000):
                c.ws.send_binary(bytes(min(1000, size - i)))
            assert c.status() == ENOSPC
            assert board.resources() == descriptors
        c.put("a", b"as ever")
        assert c.get("a") == b"as ever"
        assert c.run("print(6*7)") == "42"


def test_file_that_cannot_be_read_gets_a_status(board: Board) -> None:
    # Nothing is mapped at the beginning of it.
    (board.flash / "bad").symlink_to("/proc/self/mem")
    with Client(board.port) as c:
        descriptors = board.resources()
        c.request(GET, "bad")
        assert c.status() == 0
        c.ws.send_binary(b"\0")
        assert c.take(2) == b"\0\0"
        assert c.status() == EIO
        assert board.resources() == descriptors
        assert c.run("print(6*7)") == "42"


@pytest.mark.parametrize(
    ("signature", "operation", "name"),
    [
        (b"WB", GET, b"boot.py"),
        (b"\0\0", PUT, b"boot.py"),
        (b"AW", 3, b""),
        (b"WA", GET, b"n" * 64),
        (b"WA", PUT, b"n" * 64),
        (b"WA", GET, b"\xff"),
        (b"WA", PUT, b"\xc3"),
    ],
)
def test_malformed_request_is_refused(board: Board, signature: bytes, operation: int, name: bytes) -> None:
    boot = (board.flash / "boot.py").read_bytes()
    files = {path.name for path in board.flash.iterdir()}
    with Client(board.port) as c:
        c.ws.send_binary(struct.pack("<2sBBQLH64s", signature, operation, 0, 0, 0, len(name), name))
        assert c.status() == EINVAL
        assert c.get("boot.py") == boot
        assert {path.name for path in board.flash.iterdir()} == files


def test_password_is_compared_to_its_end(board: Board) -> None:
    # Time is no measure here: what is looked at is.
    looked_at = board.run(
        """
import twin
class Password:
    def __getitem__(self, i):
        seen.append(i)
        return password[i]
password, twin._password = twin._password, Password()
for attempt in ("", "x", "secreT", "secret", "xecret", "secretsecret"):
    seen = []
    twin._is_password((attempt.encode() + bytes(10))[:10])
    print(seen)
"""
    )
    assert looked_at.splitlines() == [str(list(range(10)))] * 6


@pytest.mark.parametrize("operation", [PUT, GET])
@pytest.mark.parametrize("end", ["close frame", "end of file", "reset"])
def test_abandoned_transfer_closes_its_file_at_once(board: Board, operation: int, end: str) -> None:
    (board.flash / "data.bin").write_bytes(bytes(10000))
    descriptors = board.resources()
    with Client(board.port) as c:
        connected = board.resources()
        c.request(operation, "data.bin", 10000)
        assert c.status() == 0
        c.ws.send_binary(b"\0")
        assert c.run("print(6*7)") == "42"
        assert board.resources() == connected + 1
        if end == "close frame":
            c.ws.send_close()
        elif end == "reset":
            reset(tcp(c))
            c.vanish()
        else:
            tcp(c).shutdown(socket.SHUT_WR)
        board.wait("dupterm: EOF received")
        board.wait_idle()
        assert board.resources() == descriptors


def test_stop_closes_the_file_of_a_transfer(board: Board) -> None:
    board.run("webrepl.stop()")
    descriptors = board.resources()
    board.run(f"webrepl.start({board.port})")
    with Client(board.port) as c:
        c.request(PUT, "data.bin", 10000)
        assert c.status() == 0
        board.run("webrepl.stop()")
        assert board.resources() == descriptors


@pytest.mark.parametrize("layout", ["", "import twin\ntwin._layout = None\n"])
@pytest.mark.parametrize("size", [1, 2, 511, 512, 513, 514, 1025])
def test_content_is_put_however_it_is_cut(make_board: Callable[..., Board], layout: str, size: int) -> None:
    port = free_port()
    board = make_board(f"{layout}import webrepl\nwebrepl.start(port={port})\n")
    data = random.Random(size).randbytes(3 * size + 1)
    with Client(port) as c:
        # Alone, with what comes next still on its way.
        c.request(PUT, "data.bin", len(data))
        assert c.status() == 0
        for i in range(0, len(data), size):
            c.ws.send_binary(data[i : i + size])
            board.wait_idle()
        assert c.status() == 0
        assert (board.flash / "data.bin").read_bytes() == data
        # With keys behind it.
        c.request(PUT, "data.bin", len(data))
        assert c.status() == 0
        for i in range(0, len(data), size):
            tcp(c).sendall(frame(data[i : i + size]) + key("#"))
            c.wait("#")
        assert c.status() == 0
        assert (board.flash / "data.bin").read_bytes() == data
        # In pieces of frames.
        c.request(PUT, "data.bin", len(data))
        assert c.status() == 0
        raw = b"".join(frame(data[i : i + size]) for i in range(0, len(data), size))
        for i in range(0, len(raw), 97):
            tcp(c).sendall(raw[i : i + 97])
            board.wait_idle()
        assert c.status() == 0
        assert (board.flash / "data.bin").read_bytes() == data


@pytest.mark.parametrize("opcode", [websocket.ABNF.OPCODE_PING, websocket.ABNF.OPCODE_PONG])
@pytest.mark.parametrize("size", [0, 1, 2, 4, 125])
def test_control_frames_are_no_content(board: Board, opcode: int, size: int) -> None:
    data = random.Random(size).randbytes(3000)
    control = frame(b"W" * size, opcode)
    with Client(board.port) as c:
        tcp(c).sendall(control + key("#"))
        c.wait("#")
        c.request(PUT, "data.bin", len(data))
        assert c.status() == 0
        for i in range(0, len(data), 1000):
            tcp(c).sendall(control + frame(data[i : i + 1000]) + control + key("#"))
            c.wait("#")
        assert c.status() == 0
        tcp(c).sendall(control)
        assert c.get("data.bin") == data


def test_client_that_reads_no_answers_is_closed(board: Board) -> None:
    with (board.flash / "data.bin").open("wb") as f:
        f.truncate(64 * 1024 * 1024)
    descriptors = board.resources()
    with Client(board.port) as c:
        tcp(c).setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.request(GET, "data.bin")
        assert c.status() == 0
        with contextlib.suppress(OSError):
            for _ in range(256):
                c.ws.send_binary(bytes(1024))
        board.wait("dupterm: EOF received", 30)
        board.wait_idle()
        assert board.resources() == descriptors
        c.vanish()
    with Client(board.port) as c:
        assert c.run("print(6*7)") == "42"


def test_transfer_allocates_nothing_per_chunk(make_board: Callable[..., Board]) -> None:
    board = make_board("")
    allocated = board.run(
        PAIR.format(port=board.port)
        + r"""
import micropython
key, content, zero, sink = bytearray(1), frame(2, bytes(1024)), frame(2, b"\0"), bytearray(4 + 2 + 256)
def run(n, data):
    before = micropython.mem_total()
    while n:
        c.write(data)
        w.readinto(key)
        n -= 1
        if data is zero:
            c.readinto(sink)
    return micropython.mem_total() - before
c.write(frame(1, b"\r") + request(1, b"a", 200 * 1024))
w.readinto(key)
print(run(199, content))
c.write(content + request(2, b"a"))
w.readinto(key)
c.readinto(sink, 2 + 10 + 2 + 25 + 3 * 6)
print(run(200 * 4, zero))
"""
    )
    assert allocated == "0\n0", allocated


@pytest.fixture
def board_without_webrepl(make_board: Callable[..., Board], tmp_path: Path) -> Callable[[str], Board]:
    """Return a function that boots firmware without the C module, with the twin at that place of the flash."""
    assert FIRMWARE_WITHOUT_WEBREPL.exists(), "make firmware-without-webrepl"

    def make(place: str) -> Board:
        flash, port = tmp_path / "flash", free_port()
        write_flash(flash, port)
        if place:
            (flash / place).parent.mkdir(exist_ok=True)
            shutil.copy(TWIN, flash / place)
        board = make_board(flash=flash, firmware=FIRMWARE_WITHOUT_WEBREPL)
        board.port = port
        return board

    return make


@pytest.mark.parametrize("place", ["_webrepl.py", "lib/_webrepl.py"])
def test_firmware_without_the_c_module(board_without_webrepl: Callable[[str], Board], place: str) -> None:
    board = board_without_webrepl(place)
    with urllib.request.urlopen(f"http://127.0.0.1:{board.port}/", timeout=TIMEOUT) as page:
        assert b"webrepl_content.js" in page.read()
    data = random.Random(1).randbytes(100_000)
    with Client(board.port, login=False) as c:
        c.login_attempt("wrong")
    with Client(board.port) as c:
        assert c.run("print(6*7)") == "42"
        c.put("data.bin", data)
        assert (board.flash / "data.bin").read_bytes() == data
        assert c.get("data.bin") == data
        assert len(c.version()) == 3
        c.type("\x04")
        board.wait("soft reboot.*>>> ")
    with Client(board.port) as c:
        assert c.run("print(6*7)") == "42"


def test_firmware_without_either(board_without_webrepl: Callable[[str], Board]) -> None:
    board = board_without_webrepl("")
    assert "ImportError: no module named '_webrepl'" in board.text
