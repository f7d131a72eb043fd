"""The virtual board keeps its contract: it is what every other test stands on."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from board import FIRMWARE, Board, free_port, write_flash
from client import Client

MakeBoard = Callable[..., Board]

SERVER = """
import socket
def listen(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("0.0.0.0", port))
    s.listen(5)
    return s
"""


@pytest.fixture
def plain(make_board: MakeBoard) -> Board:
    """Return a board that starts nothing."""
    return make_board("")


def test_boot_and_main_share_main(make_board: MakeBoard, tmp_path: Path) -> None:
    (tmp_path / "boot.py").write_text("x = 1; print(__name__)")
    (tmp_path / "main.py").write_text("x += 1; print(__name__, x)")
    board = make_board(flash=tmp_path)
    assert board.text.startswith("__main__\r\n__main__ 2\r\n")
    assert board.run("import sys; print(x, sys.modules['__main__'].x, 'board' in sys.modules)") == "2 2 False"


@pytest.mark.parametrize("name", ["boot.py", "main.py"])
def test_boot_goes_on_after_a_traceback(make_board: MakeBoard, tmp_path: Path, name: str) -> None:
    (tmp_path / "boot.py").write_text("print('boot')")
    (tmp_path / "main.py").write_text("print('main')")
    (tmp_path / name).write_text("1/0")
    board = make_board(flash=tmp_path)
    assert "ZeroDivisionError" in board.text
    assert ("main" if name == "boot.py" else "boot") in board.text


def test_modules_and_path(plain: Board) -> None:
    assert plain.run("import sys; print(sys.path)") == "['', '.frozen', '/lib']"
    assert plain.run("import webrepl; print(webrepl.__file__)") == "webrepl.py"
    plain.run(
        "import _webrepl, websocket, os; os.dupterm, os.dupterm_notify; from socket import TCP_NODELAY, IPPROTO_TCP"
    )


def test_module_on_the_flash_comes_first(make_board: MakeBoard, tmp_path: Path) -> None:
    (tmp_path / "webrepl.py").write_text("mine = True")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "other.py").write_text("mine = True")
    assert make_board(flash=tmp_path).run("import webrepl, other; print(webrepl.mine, other.mine)") == "True True"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../../../../../etc/passwd", "/../../../../etc/passwd", "lib/../../../../../etc/passwd"]
)
def test_paths_stay_in_the_flash(plain: Board, path: str) -> None:
    (plain.flash / "lib").mkdir()
    out = plain.run(f"""
import os
for f in (open, os.stat, os.listdir, os.remove, os.chdir):
    try:
        f({path!r})
        print('got out')
    except OSError as e:
        print(e.errno)
""")
    assert set(out.split()) <= {"2", "20"}
    assert plain.run("os.chdir('lib'); print(os.getcwd()); os.chdir('../../..'); print(os.getcwd())") == "/lib\n/"


def test_no_way_to_the_host(plain: Board) -> None:
    assert plain.run("import os; print(hasattr(os, 'system'), hasattr(os, 'getenv'))") == "False False"


def test_binds_loopback_only(plain: Board) -> None:
    plain.run(SERVER + f"s = listen({plain.port})")
    sockets = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    assert f"0100007F:{plain.port:04X}" in sockets
    assert f"00000000:{plain.port:04X}" not in sockets


def test_board_host(make_board: MakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARD_HOST", "127.0.0.2")
    board = make_board()
    assert f"WebREPL server started on http://127.0.0.2:{board.port}/" in board.text
    with socket.create_connection(("127.0.0.2", board.port)):
        pass


def test_soft_reset_from_the_serial_console(plain: Board) -> None:
    plain.run("x = 1; import os; os.chdir('/')")
    plain.type("\x04")
    plain.wait("MPY: soft reboot\r\n.*>>> ")
    assert plain.run("print('x' in globals())") == "False"


def test_raw_repl_survives_a_soft_reset(plain: Board) -> None:
    plain.type("\x01")
    plain.wait("raw REPL; CTRL-B to exit\r\n>")
    plain.type("\x04")
    plain.wait("OK\r\nMPY: soft reboot\r\n.*raw REPL; CTRL-B to exit\r\n>")
    plain.type("print(42)\x04")
    plain.wait("OK42")


@pytest.mark.parametrize(
    "busy", ["while True: pass", "import time; time.sleep(100)", "time.sleep_ms(100000)", "input()"]
)
def test_ctrl_c(plain: Board, busy: str) -> None:
    plain.run("import time")
    plain.type(busy + "\r\r" if busy.startswith("while") else busy + "\r")
    plain.wait("\r\n")
    plain.type("\x03")
    plain.wait("KeyboardInterrupt.*>>> ")


def test_ctrl_c_at_the_prompt_does_not_kill(plain: Board) -> None:
    plain.type("abc\x03")
    plain.wait("abc\r\n>>> ")
    assert plain.run("print(1)") == "1"


def test_serial_paste_is_whole(plain: Board) -> None:
    text = "".join(f"x{i} = {i}\r" for i in range(500))
    plain.type("\x05")
    plain.wait("=== ")
    plain.type(text + "print(sum(v for k, v in globals().items() if k[0] == 'x'))\r\x04")
    plain.wait(str(sum(range(500))))


def test_newline_becomes_crlf_and_stderr_is_shown(plain: Board) -> None:
    plain.run("import sys")
    plain.type("sys.stderr.write('a\\nb\\n')\r")
    plain.wait("a\r\nb\r\n")


def test_stdin_poll(plain: Board) -> None:
    plain.type("import select, sys; p = select.poll(); p.register(sys.stdin, 1)\r")
    plain.wait(">>> ")
    plain.type("print(p.poll(0)); print(len(p.poll(10000)), sys.stdin.read(1))\r")
    plain.wait(r"\r\n\[\]\r\n")
    plain.type("x")
    plain.wait("1 x\r\n")


def test_addresses_print_as_tuples(plain: Board) -> None:
    plain.run(SERVER + f"s = listen({plain.port})")
    with socket.create_connection(("127.0.0.1", plain.port)) as s:
        assert plain.run("cl, addr = s.accept(); print(addr)") == str(s.getsockname())


def test_events_level_and_edge(make_board: MakeBoard, events: str) -> None:
    board = make_board("", events=events)
    board.run(SERVER + f"s = listen({board.port})")
    with socket.create_connection(("127.0.0.1", board.port)) as s:
        board.run("cl, addr = s.accept(); cl.setblocking(False); calls = []")
        s.sendall(b"early")
        board.run(
            "import time; time.sleep_ms(50); cl.setsockopt(socket.SOL_SOCKET, 20, lambda s: calls.append(s is cl))"
        )
        # What had arrived before the handler was set.
        calls = int(board.run("time.sleep_ms(50); n = len(calls); print(n)"))
        assert calls == 0 if events == "edge" else calls > 5
        s.sendall(b"late")
        calls = int(board.run("time.sleep_ms(50); print(len(calls) - n)"))
        assert calls == 1 if events == "edge" else calls > 5
        assert board.run("cl.read(100); calls.clear(); time.sleep_ms(50); print(len(calls), all(calls))") == "0 True"
        s.sendall(b"x")
        assert (
            board.run("time.sleep_ms(50); cl.setsockopt(socket.SOL_SOCKET, 20, None); print(len(calls) > 0)") == "True"
        )
        assert board.run("calls.clear(); time.sleep_ms(50); print(len(calls))") == "0"


def test_event_while_code_runs(make_board: MakeBoard, events: str) -> None:
    board = make_board("", events=events)
    board.run(
        SERVER
        + f"s = listen({board.port}); s.setsockopt(socket.SOL_SOCKET, 20, lambda s: print('call', s.accept()[1]))"
    )
    board.type("while True: pass\r\r")
    board.wait("\\.\\.\\. \r\n")
    with socket.create_connection(("127.0.0.1", board.port)):
        board.wait("call")


def test_exception_in_a_handler_is_printed(make_board: MakeBoard, events: str) -> None:
    board = make_board("", events=events)
    board.run(SERVER + f"s = listen({board.port})\ndef f(s): s.accept(); 1/0\ns.setsockopt(socket.SOL_SOCKET, 20, f)")
    with socket.create_connection(("127.0.0.1", board.port)):
        board.wait("ZeroDivisionError")
    assert board.run("print(1)") == "1"


def test_socket_timeout(plain: Board) -> None:
    plain.run(SERVER + f"s = listen({plain.port}); s.settimeout(0.2)")
    out = plain.run("""
import time
t = time.ticks_ms()
try:
    s.accept()
except OSError as e:
    print(e.errno, 150 < time.ticks_diff(time.ticks_ms(), t) < 2000)
""")
    assert out == "110 True"


def test_close_twice_closes_one(plain: Board) -> None:
    plain.run(SERVER + "s = socket.socket(); s.close(); f = open('x', 'w'); s.close(); f.write('y'); f.close()")
    assert (plain.flash / "x").read_text() == "y"


def test_ring_buffer_has_260_bytes(plain: Board) -> None:
    plain.run("""
import io, os
class Flood(io.IOBase):
    left = 1000
    def readinto(self, buf):
        if not self.left: return None
        self.left -= 1; buf[0] = 120; return 1
    def write(self, buf): return len(buf)
    def ioctl(self, req, arg): return 0
os.dupterm(Flood())
""")
    out = plain.run("""
import select, sys
p = select.poll(); p.register(sys.stdin, 1)
os.dupterm_notify(None); os.dupterm(None)
n = 0
while p.poll(0): sys.stdin.read(1); n += 1
print(n)
""")
    assert out == "259"


def test_end_of_file_is_a_cable_pulled_out(tmp_path: Path) -> None:
    port = free_port()
    write_flash(tmp_path, port)
    with subprocess.Popen(
        [FIRMWARE, "-m", "board"], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as p:
        try:
            assert p.stdout is not None
            while p.stdout.readline() != b"Started webrepl in normal mode\r\n":
                pass
            with Client(port) as c:
                assert c.run("print(6*7)") == "42"
            assert p.poll() is None
        finally:
            p.terminate()


def test_timer(plain: Board) -> None:
    plain.run("""
import time
from machine import Timer
calls = []
once, often = Timer(-1), Timer(-1)
once.init(mode=Timer.ONE_SHOT, period=20, callback=calls.append)
often.init(mode=Timer.PERIODIC, period=30, callback=calls.append)
time.sleep_ms(200)
often.deinit()
""")
    assert plain.run("print(calls[0] is once, calls.count(once), 4 <= calls.count(often) <= 7)") == "True 1 True"
    plain.type("once.init(mode=Timer.ONE_SHOT, period=20, callback=lambda t: print('rang'))\r")
    plain.wait(">>> ")
    plain.wait("rang\r\n")


def test_machine_reset_and_heap_size(make_board: MakeBoard) -> None:
    board = make_board("import webrepl", heap="48k")
    assert 40_000 < int(board.run("import gc; print(gc.mem_alloc() + gc.mem_free())")) < 50_000
    board.type("import machine; machine.reset()\r")
    board.wait(re.escape("; Virtual board with unix") + ".*>>> ")
    assert 40_000 < int(board.run("import gc; print(gc.mem_alloc() + gc.mem_free())")) < 50_000
