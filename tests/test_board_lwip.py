"""The emulated boards keep their contract: a chip's firmware with lwIP, and the one that is like an ESP8266."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from board import TIMEOUT, Board, EmulatedBoard, free_port
from client import Client, connect, reset

LWIP, ESP8266, PATCHED = "lwip", "lwip-esp8266", "lwip-patched"
pytestmark = pytest.mark.boards(LWIP, ESP8266, reason="what is tested is the emulated boards themselves")
MakeBoard = Callable[..., Board]

LISTEN = """
import socket, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", {port}))
s.listen(4)
"""
ACCEPT = """
cl = s.accept()[0]
cl.setblocking(False)
"""
# How many TCP connections there are: active, in time-wait, listening.
PCBS = "import network; print(*network.LAN().stats()[1])"


@pytest.fixture
def plain(make_board: MakeBoard, tmp_path: Path) -> Board:
    """Return a board that starts nothing: its flash is empty."""
    return make_board(flash=tmp_path)


@contextlib.contextmanager
def connection(board: Board, *, accept: str = ACCEPT) -> Iterator[socket.socket]:
    """Have the board listen as s and accept a connection as cl; return the other end of it."""
    board.run(LISTEN.format(port=board.port))
    with connect(board.port) as sock:
        board.run(accept)
        yield sock


def hears(sock: socket.socket) -> bool:
    """Tell if something comes from the board."""
    sock.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        return bool(sock.recv(1))
    return False


# The start, and the consoles.


def test_boot_and_main_share_main(make_board: MakeBoard, tmp_path: Path) -> None:
    (tmp_path / "boot.py").write_text("x = 1; print(__name__)")
    (tmp_path / "main.py").write_text("x += 1; print(__name__, x)")
    board = make_board(flash=tmp_path)
    assert board.text.startswith("__main__\r\n__main__ 2\r\n")
    assert board.run("print(x)") == "2"


def test_no_main_after_a_traceback_of_boot(make_board: MakeBoard, tmp_path: Path) -> None:
    """ports/rp2/main.c, main(), and ports/esp8266/main.c, mp_reset(): both end it at the first exception."""
    (tmp_path / "boot.py").write_text("print('boot'); 1/0")
    (tmp_path / "main.py").write_text("print('main')")
    board = make_board(flash=tmp_path)
    assert "ZeroDivisionError" in board.text
    assert "main\r\n" not in board.text


def test_modules_and_path(plain: Board) -> None:
    path = {LWIP: ["", ".frozen", "/lib"], ESP8266: ["", ".frozen", "/lib", "/"]}[plain.kind.name]
    assert plain.run("import sys; print(sys.path)") == str(path)
    plain.run("import webrepl, _webrepl, websocket, os; os.dupterm, os.dupterm_notify")
    plain.run("from socket import TCP_NODELAY, IPPROTO_TCP; from machine import reset, Timer; from network import LAN")


def test_machine_reset_and_heap_size(make_board: MakeBoard, tmp_path: Path) -> None:
    board = make_board(flash=tmp_path, heap="48k")
    size = "import gc; gc.collect(); print(gc.mem_alloc() + gc.mem_free())"
    assert 46_000 < int(board.run(size)) < 49_000
    board.type("import machine; machine.reset()\r")
    board.wait("Emulated .*>>> ")
    assert 46_000 < int(board.run(size)) < 49_000


@pytest.mark.parametrize("busy", ["while True: pass", "time.sleep(100)", "input()", "s.accept()"])
def test_ctrl_c(plain: Board, busy: str) -> None:
    plain.run(LISTEN.format(port=plain.port))
    # While a line is edited, Ctrl-C is a key like others: what is busy has to have begun.
    plain.type(f"exec('print(1 + 1)\\n{busy}')\r")
    plain.wait("\r\n2\r\n")
    plain.type("\x03")
    plain.wait("KeyboardInterrupt.*>>> ")


def test_ctrl_c_at_the_prompt(plain: Board) -> None:
    plain.type("abc\x03")
    plain.wait("abc\r\n>>> ")
    assert plain.run("print(1)") == "1"


def test_nothing_is_left_of_a_board_that_is_killed(plain: Board) -> None:
    plain.run(LISTEN.format(port=plain.port))
    plain.process.kill()
    plain.wait_end()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", plain.port), timeout=TIMEOUT)


def test_dupterm_notify_fills_the_ring_buffer(plain: Board) -> None:
    plain.run("""
import io, os, select, sys
class Flood(io.IOBase):
    left = 1000
    def readinto(self, buf):
        if not self.left: return None
        self.left -= 1; buf[0] = 120; return 1
    def write(self, buf): return len(buf)
    def ioctl(self, req, arg): return 0
p = select.poll(); p.register(sys.stdin, 1)
""")
    assert plain.run("""
os.dupterm(Flood()); os.dupterm_notify(None); os.dupterm(None)
n = 0
while p.poll(0): sys.stdin.read(1); n += 1
print(n)
""") == str({LWIP: 511, ESP8266: 255}[plain.kind.name])


def test_clock(plain: Board) -> None:
    plain.run("import time")
    started = time.monotonic()
    took = int(plain.run("t = time.ticks_ms(); time.sleep_ms(500); print(time.ticks_diff(time.ticks_ms(), t))"))
    assert 500 <= took < 600
    assert time.monotonic() - started > 0.5


# The flash.


def test_what_the_board_writes_is_in_the_folder(plain: Board) -> None:
    plain.run("""
import os
with open('file', 'w') as f: f.write('a' * 10000)
os.mkdir('folder')
with open('folder/file', 'w') as f: f.write('b')
""")
    assert (plain.flash / "file").read_text() == "a" * 10000
    assert (plain.flash / "folder" / "file").read_text() == "b"
    plain.run("os.rename('file', 'other')")
    assert [path.name for path in sorted(plain.flash.iterdir())] == ["folder", "other"]
    plain.run("os.remove('folder/file'); os.rmdir('folder'); os.remove('other')")
    assert list(plain.flash.iterdir()) == []


@pytest.mark.parametrize("restart", ["\x04", "import machine; machine.reset()\r"])
def test_what_the_host_writes_is_on_the_board_when_it_starts_again(
    make_board: MakeBoard, tmp_path: Path, restart: str
) -> None:
    (tmp_path / "kept").write_text("1")
    (tmp_path / "removed").write_text("1")
    board = make_board(flash=tmp_path)
    (board.flash / "folder").mkdir()
    (board.flash / "folder" / "file").write_text("from the host")
    (board.flash / "removed").unlink()
    # That writes of the board's own do not undo what the host has done.
    board.run("open('mine', 'w').close()")
    board.type(restart)
    board.wait(r"Emulated .*>>> ")
    assert board.run("import os; print(sorted(os.listdir()), open('folder/file').read())") == (
        "['folder', 'kept', 'mine'] from the host"
    )


def test_full_flash(make_board: MakeBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARD_FLASH", "64k")
    board = make_board(flash=tmp_path)
    assert (
        board.run("""
import os
try:
    with open('file', 'w') as f:
        for _ in range(70): f.write('a' * 1000)
except OSError as e:
    print(e.errno)
""")
        == "28"
    )
    assert board.run("print(os.statvfs('/')[2])") == "16"


# The network.


@pytest.mark.parametrize("file", ["boot.py", "main.py"])
def test_named_ports_are_forwarded(make_board: MakeBoard, tmp_path: Path, file: str) -> None:
    port = free_port()
    (tmp_path / file).write_text(LISTEN.format(port=port))
    make_board(flash=tmp_path)
    socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT).close()
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    assert f"0100007F:{port:04X}" in listening
    assert f"00000000:{port:04X}" not in listening


def test_number_that_is_a_taken_port(make_board: MakeBoard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as s:
        board = make_board(f"print({s.getsockname()[1]})")
    assert board.run("print(1)") == "1"


def test_pcbs(plain: Board) -> None:
    with connection(plain) as sock:
        assert plain.run(PCBS) == "1 0 1"
        plain.run("cl.close()")
        assert sock.recv(1) == b""
        sock.close()
        plain.run("time.sleep_ms(100)")
        # lwip/src/core/tcp.c: the side that closes first waits for the last segments of the other.
        assert plain.run(PCBS) == "0 1 1"
    plain.run("s.close()")
    assert plain.run(PCBS) == "0 1 0"


def test_five_connections_at_once(plain: Board) -> None:
    """MEMP_NUM_TCP_PCB of lwip/src/include/lwip/opt.h, which extmod/lwip-include/lwipopts_common.h leaves as it is."""
    plain.run(LISTEN.format(port=plain.port) + "s.settimeout(0.3); a = []")
    with contextlib.ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(socket.create_connection(("127.0.0.1", plain.port), timeout=TIMEOUT))
            plain.run("try: a.append(s.accept())\nexcept OSError: pass")
        assert plain.run("print(len(a))") == "5"
        assert plain.run(PCBS) == "5 0 1"


def test_accept_copies_the_timeout(plain: Board) -> None:
    """extmod/modlwip.c, lwip_socket_accept()."""
    plain.run(LISTEN.format(port=plain.port) + "s.settimeout(0.2)")
    with socket.create_connection(("127.0.0.1", plain.port), timeout=TIMEOUT):
        assert (
            plain.run("""
cl = s.accept()[0]
t = time.ticks_ms()
try:
    cl.read(1)
except OSError as e:
    print(e.errno, 150 < time.ticks_diff(time.ticks_ms(), t) < 1000)
""")
            == "110 True"
        )


def test_events_come_once_for_each_arrival(plain: Board) -> None:
    """extmod/modlwip.c, exec_user_callback()."""
    with connection(plain) as sock:
        sock.sendall(b"early")
        plain.run(
            "time.sleep_ms(50); calls = []; cl.setsockopt(socket.SOL_SOCKET, 20, lambda s: calls.append(s is cl))"
        )
        assert plain.run("time.sleep_ms(50); print(calls)") == "[]"
        sock.sendall(b"late")
        assert plain.run("time.sleep_ms(50); print(calls, cl.read(20))") == "[True] b'earlylate'"


def test_event_while_code_runs(plain: Board) -> None:
    with connection(plain) as sock:
        plain.run("cl.setsockopt(socket.SOL_SOCKET, 20, lambda s: print('call', s.read(10)))")
        plain.type("while True: pass\r\r")
        plain.wait("\\.\\.\\. \r\n")
        sock.sendall(b"x")
        plain.wait("call b'x'")


@pytest.mark.parametrize(
    ("end", "calls", "outcome"), [(socket.socket.close, 1, "b''"), (reset, 0, "[Errno 104] ECONNRESET")]
)
def test_end_is_an_event_and_a_reset_is_none(
    plain: Board, end: Callable[[socket.socket], None], calls: int, outcome: str
) -> None:
    """extmod/modlwip.c, _lwip_tcp_recv() and _lwip_tcp_error()."""
    with connection(plain) as sock:
        plain.run("calls = []; cl.setsockopt(socket.SOL_SOCKET, 20, calls.append)")
        end(sock)
        assert plain.run("time.sleep_ms(100); print(len(calls))") == str(calls)
        assert plain.run("try: print(cl.read(1))\nexcept OSError as e: print(e)") == outcome


def test_events_are_dropped_when_the_queue_is_full(plain: Board) -> None:
    """py/scheduler.c, mp_sched_schedule(): MICROPY_SCHEDULER_DEPTH."""
    depth = {LWIP: 8, ESP8266: 4}[plain.kind.name]
    with connection(plain) as sock:
        plain.run("import micropython; calls = []; cl.setsockopt(socket.SOL_SOCKET, 20, calls.append)")
        plain.type("micropython.schedule(lambda _: print('busy', time.sleep_ms(1000)), 0)\r")
        plain.wait("\r\n")
        time.sleep(0.1)
        # lwIP has buffers for ten that nobody has read.
        for _ in range(depth + 2):
            sock.sendall(b"x")
            time.sleep(0.03)
        plain.wait("busy None")
        assert plain.run("time.sleep_ms(50); print(len(calls), cl.read(20))") == f"{depth} b'{'x' * (depth + 2)}'"


def test_write_beyond_the_queue_sleeps(make_board: MakeBoard, tmp_path: Path) -> None:
    """extmod/modlwip.c, lwip_tcp_send(): ERR_MEM of tcp_write(), at TCP_SND_QUEUELEN, makes it sleep for 50 ms."""
    board = make_board(flash=tmp_path, round_trip_ms=40)
    writes = {LWIP: 32, ESP8266: 8}[board.kind.name]
    with connection(board) as sock:
        board.run("""
cl.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
def write(n):
    t = time.ticks_ms()
    for _ in range(n): cl.write(b'x')
    return time.ticks_diff(time.ticks_ms(), t)
""")
        assert int(board.run(f"print(write({writes}))")) < 20
        assert sock.makefile("rb").read(writes) == b"x" * writes
        assert 50 <= int(board.run(f"time.sleep_ms(100); print(write({writes + 1}))")) < 100


def test_send_buffer(plain: Board) -> None:
    """TCP_SND_BUF: what a write takes while the client's acknowledgements do not come."""
    assert isinstance(plain, EmulatedBoard)
    size = {LWIP: 8 * 800, ESP8266: 2 * 536}[plain.kind.name]
    with connection(plain):
        plain.unplug()
        assert plain.run("print(cl.write(bytes(10000)), cl.write(b'x'))") == f"{size} None"


# The link.


ECHO = """
def echo(s):
    data = s.read(100)
    if data: s.write(data)
cl.setsockopt(socket.SOL_SOCKET, 20, echo)
"""


def exchange(sock: socket.socket) -> float:
    """Have a byte echoed; return the seconds that it took."""
    started = time.monotonic()
    sock.sendall(b"x")
    assert sock.recv(1) == b"x"
    return time.monotonic() - started


@pytest.mark.parametrize("milliseconds", [10, 40])
def test_latency(make_board: MakeBoard, tmp_path: Path, milliseconds: int) -> None:
    board = make_board(flash=tmp_path, round_trip_ms=milliseconds)
    with connection(board, accept=ACCEPT + ECHO) as sock:
        times = sorted(exchange(sock) for _ in range(9))
        assert 0.9 * milliseconds / 1000 <= times[4] < 1.5 * milliseconds / 1000


def test_capture(make_board: MakeBoard, tmp_path: Path) -> None:
    # Beside the flash: it is no file of the board's.
    file = tmp_path / "capture"
    board = make_board("", capture=file)
    with connection(board) as sock:
        sock.sendall(b"what is captured")
        board.run("time.sleep_ms(50)")
        assert file.read_bytes().count(b"what is captured") == 1


def test_link_that_goes_dead(plain: Board) -> None:
    assert isinstance(plain, EmulatedBoard)
    with connection(plain, accept=ACCEPT + ECHO) as sock:
        exchange(sock)
        plain.unplug()
        sock.sendall(b"x")
        sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        plain.plug_in()
        sock.settimeout(TIMEOUT)
        assert sock.recv(1) == b"x"


# Faults.


def test_fault_is_told_and_ends_the_board(plain: Board) -> None:
    plain.type("import machine; machine.mem32[4]\r")
    match = plain.wait(r"\*\*\* Fault: r0=.* pc=[0-9a-f]{8} .* mmfar=00000004 .*?\n(.*?)\n.*\n")
    assert b"machine_mem_subscr at machine_mem.c:" in match[1]
    assert plain.wait_end() == 1


def reset_before_setsockopt(board: Board) -> None:
    """Type what writes into a connection that has been reset."""
    with connection(board) as sock:
        reset(sock)
    board.type("time.sleep_ms(100); cl.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)\r")


def test_reset_before_setsockopt_crashes(plain: Board) -> None:
    """extmod/modlwip.c, lwip_socket_setsockopt(), looks at no null pointer."""
    reset_before_setsockopt(plain)
    match = plain.wait(r"\*\*\* Fault: .*?\n(.*?)\n.*\n")
    assert b"lwip_socket_setsockopt at modlwip.c:" in match[1]
    assert plain.wait_end() == 1


@pytest.mark.boards(PATCHED, reason="the one that has been cured")
def test_reset_before_setsockopt_is_cured(plain: Board) -> None:
    reset_before_setsockopt(plain)
    plain.wait(r"OSError: \[Errno 104\] ECONNRESET\r\n>>> ")


def reset_after_close(board: Board) -> None:
    """Close a listening socket that four connections wait for, reuse its memory, and have them reset."""
    board.run(LISTEN.format(port=board.port))
    waiting = []
    for n in range(4):
        waiting.append(socket.create_connection(("127.0.0.1", board.port), timeout=TIMEOUT))
        # One after the other: lwIP keeps one packet for an address that it has yet to ask for.
        assert board.run("time.sleep_ms(100); " + PCBS) == f"{n + 1} 0 1"
    # -1 is a word of 1 bits, and a tuple two words and its items: so what was there is overwritten, wherever it lay.
    board.run("import gc\nfill = lambda: [(-1,) * 6 for _ in range(gc.mem_free() // 64)]")
    board.run("s.close(); s = None; gc.collect(); a = fill()")
    for sock in waiting:
        reset(sock)


@pytest.mark.boards(ESP8266, reason="with so small a heap the memory is sure to be given out again")
def test_reset_after_close_crashes(plain: Board) -> None:
    """extmod/modlwip.c: lwip_socket_free_incoming() passes over every second, for the queue moves up under it."""
    reset_after_close(plain)
    match = plain.wait(r"\*\*\* Fault: .*?\n(.*?)\n.*\n")
    assert b"_lwip_tcp_err_unaccepted at modlwip.c:" in match[1]
    assert plain.wait_end() == 1


@pytest.mark.boards(PATCHED, reason="the one that has been cured")
def test_reset_after_close_is_cured(plain: Board) -> None:
    reset_after_close(plain)
    assert plain.run("time.sleep_ms(200); " + PCBS).startswith("0 ")


@pytest.mark.boards(LWIP, ESP8266, PATCHED, reason="one of them has been cured")
def test_close_of_a_listening_socket_breaks_another(plain: Board) -> None:
    """extmod/modlwip.c, lwip_socket_ioctl(), takes it for a connection, and clears what lies behind it.

    There is the number of the next byte that the fifth connection sends: from then on the other end and the board tell
    each other without end that it is wrong.
    """
    plain.run(LISTEN.format(port=plain.port) + "connections = []")
    with contextlib.ExitStack() as stack:
        socks = []
        for _ in range(5):
            socks.append(stack.enter_context(socket.create_connection(("127.0.0.1", plain.port), timeout=TIMEOUT)))
            plain.run("connections.append(s.accept()[0])")
        plain.type("s.close(); [cl.write(b'x') for cl in connections]\r")
        assert [hears(sock) for sock in socks].count(True) == {LWIP: 4, ESP8266: 4, PATCHED: 5}[plain.kind.name]


# WebREPL, and what makes one board an ESP8266.


LIKE_ESP8266 = pytest.mark.boards(ESP8266, reason="the one that is like that chip")


@pytest.mark.boards(LWIP, ESP8266, PATCHED, reason="all that there are")
def test_session(board: Board) -> None:
    data = os.urandom(20000)
    with Client(board.port) as c:
        assert c.run("print(6*7)") == "42"
        c.put("file", data)
        assert (board.flash / "file").read_bytes() == data
        assert c.get("file") == data
        assert c.version() == (1, 25, 0) or "MICROPY_DIR" in os.environ


@LIKE_ESP8266
def test_esp8266_heap(plain: Board) -> None:
    """ports/esp8266/main.c."""
    assert 36 * 1024 < int(plain.run("import gc; print(gc.mem_alloc() + gc.mem_free())")) <= 38 * 1024


@LIKE_ESP8266
@pytest.mark.parametrize(
    "missing",
    ["str.partition", "str.center", "str.splitlines", "complex", "compile", "execfile", "__file__"],
)
def test_esp8266_is_without(plain: Board, missing: str) -> None:
    assert plain.run(f"try: {missing}; print('there')\nexcept (AttributeError, NameError): print('not there')") == (
        "not there"
    )


def test_esp8266_has_floats_in_the_word(plain: Board) -> None:
    """py/obj.h: MICROPY_OBJ_REPR_C takes no heap for them."""
    out = plain.run("""
import micropython
def square(x):
    micropython.heap_lock()
    try:
        return x * x
    except MemoryError:
        return "heap is locked"
    finally:
        micropython.heap_unlock()
print(square(1.5))
""")
    assert out == {LWIP: "heap is locked", ESP8266: "2.25"}[plain.kind.name]


@LIKE_ESP8266
def test_esp8266_has_its_uart_in_dupterm(plain: Board) -> None:
    """ports/esp8266/main.c, mp_reset(): slot 1. Taken out of it, the serial console is dead."""
    plain.type("import os; uart = os.dupterm(None, 1)\r")
    time.sleep(0.5)
    plain.skip()
    plain.type("print('unseen')\r")
    time.sleep(0.5)
    assert "unseen" not in plain.text
    assert re.search(r"dupterm\(None, 1\)\r\n$", plain.text)


def test_esp8266_takes_its_time_for_a_put(board: Board) -> None:
    """MICROPY_PY_WEBREPL_DELAY: 20 ms for each block."""
    with Client(board.port) as c:
        started = time.monotonic()
        c.put("file", bytes(20 * 1024), chunk=512)
        took = time.monotonic() - started
    assert (took > 0.8) == (board.kind.name == ESP8266)
