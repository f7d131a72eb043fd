"""The virtual board keeps its contract: it is what every other test stands on.

What it does as a chip does names the function of MicroPython's tree that does it there; paths begin at ports/.
"""

from __future__ import annotations

import array
import fcntl
import re
import socket
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from board import BOARDS, FIRMWARE, ROOT, Board, Kind, free_port, write_flash
from client import Client

pytestmark = pytest.mark.boards("esp32-ticks", reason="what is tested is the unix board itself")
BOTH = pytest.mark.boards(
    "esp32-ticks", "edge", reason="what is tested is the unix board itself, with either kind of events"
)

MakeBoard = Callable[..., Board]
Connect = Callable[..., list[socket.socket]]

SERVER = """
import socket
def listen(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("0.0.0.0", port))
    s.listen(5)
    return s
"""


STM32 = ROOT / "build" / "board-stm32" / "micropython"
ESP8266 = ROOT / "build" / "board-esp8266" / "micropython"

# A stream for os.dupterm() that has the text to read, and keeps what is written.
STREAM = """
import io, os
class Stream(io.IOBase):
    def __init__(self, text): self.text = text; self.out = b""
    def readinto(self, buf):
        if not self.text: return None
        buf[0] = self.text[0]; self.text = self.text[1:]; return 1
    def write(self, buf): self.out += buf; return len(buf)
    def ioctl(self, req, arg): return 0
"""

# A connection with something to read, in cl, and calls of its handler counted in calls.
READY = """
import time
cl, addr = s.accept()
cl.setblocking(False)
calls = 0
def f(cl):
    global calls
    calls += 1
"""


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Return a function that has the board listen in s, and connects to it n times, with a byte for it to read."""
    clients = []

    def connect(board: Board, n: int = 1) -> list[socket.socket]:
        board.run(SERVER + f"s = listen({board.port})")
        for _ in range(n):
            client = socket.socket()
            clients.append(client)
            # A small window, which is soon full.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(10)
            client.connect(("127.0.0.1", board.port))
            client.sendall(b"x")
        return clients

    yield connect
    for client in clients:
        client.close()


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


@pytest.mark.boards("esp32-ticks", "lwip", "lwip-esp8266", reason="each board has its own main()")
def test_soft_reset_from_the_serial_console(plain: Board) -> None:
    plain.run("x = 1; import os; os.chdir('/')")
    plain.type("\x04")
    plain.wait("MPY: soft reboot\r\n.*>>> ")
    assert plain.run("print('x' in globals())") == "False"


@pytest.mark.boards("esp32-ticks", "lwip", "lwip-esp8266", reason="each board has its own main()")
def test_raw_repl_survives_a_soft_reset(plain: Board) -> None:
    plain.type("\x01")
    plain.wait("raw REPL; CTRL-B to exit\r\n>")
    plain.type("\x04")
    plain.wait("OK\r\nMPY: soft reboot\r\n.*raw REPL; CTRL-B to exit\r\n>")
    plain.type("print(42)\x04")
    plain.wait("OK42")


@pytest.mark.parametrize(
    "busy",
    [
        "while True: pass",
        "time.sleep(100)",
        "time.sleep_ms(100000)",
        "input()",
        "s.accept()",
        "cl.recv(1)",
        "cl.sendall(bytes(100000))",
    ],
)
def test_ctrl_c(plain: Board, busy: str, connect: Connect) -> None:
    # esp32/uart.c, uart_irq_handler(): the console interrupts; esp32/modsocket.c, check_for_exceptions().
    connect(plain)
    plain.run("import time; cl = s.accept()[0]; cl.recv(1)")
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


def test_edge_events_come_once_for_each_arrival(make_board: MakeBoard, connect: Connect) -> None:
    # extmod/modlwip.c, _lwip_tcp_recv(): schedules for each arrival, and setsockopt() does not look what is there.
    board = make_board("", kind=BOARDS["edge"])
    (client,) = connect(board)
    board.run(READY + "time.sleep_ms(50); cl.setsockopt(socket.SOL_SOCKET, 20, f)")
    assert board.run("time.sleep_ms(50); print(calls)") == "0"
    client.sendall(b"late")
    assert board.run("time.sleep_ms(50); print(calls)") == "1"
    assert board.run("cl.read(100); time.sleep_ms(50); print(calls)") == "1"
    client.sendall(b"x")
    assert board.run("time.sleep_ms(50); cl.setsockopt(socket.SOL_SOCKET, 20, None); print(calls)") == "2"
    client.sendall(b"x")
    assert board.run("time.sleep_ms(50); print(calls)") == "2"


def test_edge_event_while_code_runs(make_board: MakeBoard) -> None:
    # extmod/modlwip.c, exec_user_callback(): the scheduler's, which the virtual machine runs between opcodes.
    board = make_board("", kind=BOARDS["edge"])
    board.run(
        SERVER
        + f"s = listen({board.port}); s.setsockopt(socket.SOL_SOCKET, 20, lambda s: print('call', s.accept()[1]))"
    )
    board.type("while True: pass\r\r")
    board.wait("\\.\\.\\. \r\n")
    with socket.create_connection(("127.0.0.1", board.port)):
        board.wait("call")


def test_esp32_looks_at_the_256th_call_first_and_then_at_each_eighth(plain: Board, connect: Connect) -> None:
    # esp32/modsocket.c, socket_events_handler(): a divisor of 8 bits, 0 at first, decremented before it is tested.
    # esp32/mphalport.c, mp_hal_delay_ms() of no time calls it once.
    connect(plain)
    out = plain.run(
        READY
        + """
looks = []
cl.setsockopt(socket.SOL_SOCKET, 20, f)
for _ in range(3):
    before = calls
    n = 0
    while calls == before:
        time.sleep_ms(0)
        n += 1
    looks.append(n)
print(looks)
"""
    )
    assert out == "[256, 8, 8]"


def test_esp32_keeps_its_place_over_a_soft_reset(plain: Board, connect: Connect) -> None:
    # esp32/main.c, mp_task(): socket_events_deinit() empties the list, and leaves the divisor as it is.
    plain.run("import socket, time; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, 20, print)")
    plain.run("for _ in range(300): time.sleep_ms(0)")
    plain.type("\x04")
    plain.wait("MPY: soft reboot\r\n.*>>> ")
    connect(plain)
    looks = plain.run(
        READY + "cl.setsockopt(socket.SOL_SOCKET, 20, f); n = 0\nwhile not calls: time.sleep_ms(0); n += 1\nprint(n)"
    )
    assert 1 <= int(looks) <= 8


def warm_up(board: Board) -> None:
    """Have the first 256 looks behind, of which most would take a tick."""
    board.run("""
import socket, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, 20, print)
for _ in range(256): time.sleep_ms(0)
s.close()
""")


@pytest.mark.parametrize("tick_ms", [10, 25])
def test_esp32_waits_a_tick_between_calls(
    make_board: MakeBoard, monkeypatch: pytest.MonkeyPatch, tick_ms: int, connect: Connect
) -> None:
    # esp32/mphalport.c, mp_hal_delay_ms(): ulTaskNotifyTake() of one tick; what is to be read calls as long as it is.
    monkeypatch.setenv("BOARD_TICK_MS", str(tick_ms))
    board = make_board("")
    warm_up(board)
    connect(board)
    sleep_ms = tick_ms * 8 * 10
    calls = int(board.run(READY + f"cl.setsockopt(socket.SOL_SOCKET, 20, f); time.sleep_ms({sleep_ms}); print(calls)"))
    assert 8 <= calls <= 11
    assert board.run("cl.read(10); n = calls; time.sleep_ms(1000); print(calls - n)") == "0"
    assert board.run(f"cl.setsockopt(socket.SOL_SOCKET, 20, None); time.sleep_ms({sleep_ms}); print(calls - n)") == "0"


def test_esp32_event_at_the_prompt_takes_up_to_eight_ticks(
    make_board: MakeBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    # esp32/mphalport.c, mp_hal_stdin_rx_chr(): MICROPY_EVENT_POLL_HOOK.
    monkeypatch.setenv("BOARD_TICK_MS", "40")
    board = make_board("")
    warm_up(board)
    board.run(SERVER + f"s = listen({board.port})\ndef f(s): s.accept(); print('call')")
    board.run("s.setsockopt(socket.SOL_SOCKET, 20, f)")
    took = []
    for i in range(8):
        time.sleep(0.04 * i)
        start = time.monotonic()
        with socket.create_connection(("127.0.0.1", board.port)):
            board.wait("call")
        took.append(time.monotonic() - start)
    assert 0.16 < max(took) < 0.5, took


def test_esp32_calls_the_newest_first_and_all_of_one_look(plain: Board, connect: Connect) -> None:
    # esp32/modsocket.c, socket_events_add() and socket_events_handler().
    connect(plain, 3)
    out = plain.run("""
import time
order = []
socks = [s.accept()[0] for _ in range(3)]
for sock in socks: sock.setsockopt(socket.SOL_SOCKET, 20, lambda sock: order.append(socks.index(sock)))
while not order: time.sleep_ms(0)
print(order)
""")
    assert out == "[2, 1, 0]"


def test_esp32_handlers_nest(plain: Board, connect: Connect) -> None:
    # esp32/modsocket.c, socket_events_handler(): a direct call, from which mp_hal_delay_ms() comes there again.
    connect(plain)
    out = plain.run("""
import time
cl = s.accept()[0]
depth = deepest = 0
def f(cl):
    global depth, deepest
    depth += 1
    deepest = max(depth, deepest)
    if depth < 3: time.sleep_ms(200)
    depth -= 1
cl.setsockopt(socket.SOL_SOCKET, 20, f)
while not deepest: time.sleep_ms(0)
print(deepest)
""")
    assert out == "3"


@BOTH
def test_handler_and_scheduler(make_board: MakeBoard, kind: Kind, connect: Connect) -> None:
    # esp32/modsocket.c calls directly, so what is scheduled runs while a handler waits. extmod/modlwip.c schedules,
    # and py/scheduler.c, mp_sched_run_pending(), runs nothing else meanwhile.
    board = make_board("")
    (client,) = connect(board)
    board.run("""
import micropython, time
cl = s.accept()[0]
log = []
def f(cl):
    cl.setsockopt(socket.SOL_SOCKET, 20, None)
    micropython.schedule(log.append, 'scheduled')
    time.sleep_ms(50)
    log.append('handler')
cl.setsockopt(socket.SOL_SOCKET, 20, f)
""")
    client.sendall(b"x")
    out = board.run("while len(log) < 2: time.sleep_ms(1)\nprint(log)")
    assert out == ("['handler', 'scheduled']" if not kind.level else "['scheduled', 'handler']")


@pytest.mark.parametrize(
    "busy",
    [
        "while time.ticks_diff(time.ticks_ms(), t) < 1000: pass",
        "other.settimeout(1); other.recv(1)",
        "s.settimeout(1); s.accept()",
    ],
    ids=["compute", "recv", "accept"],
)
def test_esp32_looks_at_no_socket_but_where_it_waits(plain: Board, busy: str, connect: Connect) -> None:
    # esp32/mpconfigport.h has no MICROPY_VM_HOOK_LOOP; esp32/modsocket.c, _socket_read_data() and socket_accept():
    # mp_handle_pending() only.
    warm_up(plain)
    connect(plain, 2)
    out = plain.run(
        READY
        + f"""
other = s.accept()[0]
other.recv(1)
cl.setsockopt(socket.SOL_SOCKET, 20, f)
t = time.ticks_ms()
try:
    {busy}
except OSError: pass
print(calls, time.ticks_diff(time.ticks_ms(), t) >= 1000)
"""
    )
    assert out == "0 True"
    assert int(plain.run("time.sleep_ms(200); print(calls)")) > 0


def test_esp32_looks_while_select_waits(plain: Board, connect: Connect) -> None:
    # extmod/modselect.c, poll_set_poll_until_ready_or_timeout(): mp_event_wait_ms(), which is MICROPY_EVENT_POLL_HOOK.
    warm_up(plain)
    connect(plain)
    out = plain.run(
        READY
        + """
import select
p = select.poll()
p.register(s, select.POLLIN)
cl.setsockopt(socket.SOL_SOCKET, 20, f)
p.poll(0)
before = calls
p.poll(800)
print(before, calls)
"""
    )
    before, calls = map(int, out.split())
    assert before == 0
    assert 8 <= calls <= 11


def test_esp32_thread_that_sleeps_runs_handlers(plain: Board, connect: Connect) -> None:
    # esp32/mphalport.c, mp_hal_delay_ms(): for whichever thread.
    warm_up(plain)
    connect(plain)
    out = plain.run(
        READY
        + """
import _thread
where = set()
def f(cl): where.add(_thread.get_ident())
def g():
    global me
    me = _thread.get_ident()
    time.sleep_ms(600)
cl.setsockopt(socket.SOL_SOCKET, 20, f)
_thread.start_new_thread(g, ())
t = time.ticks_ms()
while time.ticks_diff(time.ticks_ms(), t) < 1000: pass
print(where == {me}, me != _thread.get_ident())
cl.setsockopt(socket.SOL_SOCKET, 20, None)
"""
    )
    assert out == "True True"


@pytest.mark.parametrize(
    "code",
    [
        "sock = socks[0]; sock.close(); sock.setsockopt(socket.SOL_SOCKET, 20, print)",
        # The list goes on from the socket called, which is out of it, to one that is closed.
        "def f(_): socks[1].close(); socks[0].close()\n"
        "for sock in socks: sock.setsockopt(socket.SOL_SOCKET, 20, f)\n"
        "while True: time.sleep_ms(0)",
    ],
    ids=["handler on a closed socket", "closed while called"],
)
def test_esp32_memory_is_corrupted(plain: Board, code: str, connect: Connect, request: pytest.FixtureRequest) -> None:
    # esp32/modsocket.c, socket_setsockopt() and socket_events_handler(): FD_SET() and FD_ISSET() of -1.
    connect(plain, 2)
    plain.run("import time; socks = [s.accept()[0], s.accept()[0]]")
    plain.type("\x05" + code.replace("\n", "\r") + "\r\x04")
    plain.wait("Board: memory corrupted: ")
    assert plain.process.wait(10) == 3
    # No other test's board may end.
    request.node.boards.remove(plain)
    plain.stop()


def test_edge_handler_on_a_closed_socket_is_nothing(make_board: MakeBoard) -> None:
    board = make_board("", kind=BOARDS["edge"])
    board.run("import socket; s = socket.socket(); s.close(); s.setsockopt(socket.SOL_SOCKET, 20, print)")
    assert board.run("print(1)") == "1"


@BOTH
def test_forgotten_socket_is_closed(make_board: MakeBoard, kind: Kind, connect: Connect) -> None:
    # esp32/modsocket.c, socket_make_new(), and extmod/modlwip.c: with a finaliser; a handler does not keep a socket.
    board = make_board("")
    (client,) = connect(board)
    board.run("def f(): s.accept()[0].setsockopt(socket.SOL_SOCKET, 20, print)\nf(); s.close(); s = None")
    board.run("import gc\nfor _ in range(3): [0] * 1000; gc.collect()")
    with pytest.raises(ConnectionError):
        # It had not read the byte that came.
        client.recv(1)


def test_esp32_reads_dupterm_past_the_ring_buffer(plain: Board) -> None:
    # esp32/mphalport.c, mp_hal_stdin_rx_chr(), from 1.28 on: mp_os_dupterm_rx_chr() when the ring buffer is empty.
    plain.run(STREAM)
    plain.type("t = Stream(b'print(6*7)\\r'); os.dupterm(t)\r")
    plain.wait("\r\n42\r\n>>> ")


def test_esp32_before_1_28_reads_what_notify_brings(make_board: MakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARD_DUPTERM", "notify")
    board = make_board("")
    board.run(STREAM + "t = Stream(b'print(6*7)\\r'); os.dupterm(t)")
    time.sleep(0.5)
    assert "42" not in board.text
    board.type("os.dupterm_notify(None)\r")
    board.wait("\r\n42\r\n>>> ")


@BOTH
def test_exception_in_a_handler_is_printed(make_board: MakeBoard, kind: Kind) -> None:
    board = make_board("")
    board.run(SERVER + f"s = listen({board.port})\ndef f(s): s.accept(); 1/0\ns.setsockopt(socket.SOL_SOCKET, 20, f)")
    with socket.create_connection(("127.0.0.1", board.port)):
        board.wait("ZeroDivisionError")
    assert board.run("print(1)") == "1"


def unread(client: socket.socket) -> int:
    """Return how many bytes have come that the client has not read."""
    n = array.array("i", [0])
    fcntl.ioctl(client, termios.FIONREAD, n)
    return n[0]


FILL = """
import time
cl = s.accept()[0]
cl.setblocking(False)
sent = 0
idle = 0
while idle < 5:
    idle += 1
    while n := cl.write(bytes(1000)): sent += n; idle = 0
    time.sleep_ms(50)
print(sent)
"""


@BOTH
@pytest.mark.parametrize("sndbuf", [5760, 20000])
def test_send_buffer(
    make_board: MakeBoard, monkeypatch: pytest.MonkeyPatch, kind: Kind, sndbuf: int, connect: Connect
) -> None:
    # TCP_SND_BUF: what a client that reads nothing can be sent is this, and what it has room for itself.
    monkeypatch.setenv("BOARD_SNDBUF", str(sndbuf))
    board = make_board("")
    (client,) = connect(board)
    sent = int(board.run(FILL))
    assert sent - unread(client) == sndbuf


def test_select_finds_room_as_lwip(plain: Board, connect: Connect) -> None:
    # lwIP's sent_tcp(): a connection is writable again with more than TCP_SNDLOWAT free, half of an ESP32's buffer.
    (client,) = connect(plain)
    plain.run(FILL + "import select; p = select.poll(); p.register(cl, select.POLLOUT)")
    assert plain.run("print(p.poll(0), cl.write(b'x'))") == "[] None"
    while unread(client):
        client.recv(65536)
        time.sleep(0.1)
    assert plain.run("print(len(p.poll(2000)))") == "1"


@pytest.mark.parametrize("call", ["write", "send"])
def test_esp32_write_that_stalls_takes_a_second_an_attempt(plain: Board, call: str, connect: Connect) -> None:
    # esp32/modsocket.c, _socket_settimeout(): 0.2 s are 3 attempts of 100 ms, as 2 s are 21; lwIP's poll_tcp() looks
    # once a second whether one is over, and only the first may find much of its second gone.
    connect(plain)
    plain.run(FILL)
    out = plain.run(f"""
cl.settimeout(0.2)
t = time.ticks_ms()
try: cl.{call}(b'x')
except OSError as e: print(e.errno, time.ticks_diff(time.ticks_ms(), t))
""")
    errno, took = map(int, out.split())
    assert errno == 110
    assert 2000 <= took <= 3200


def test_edge_write_that_stalls_takes_its_timeout(make_board: MakeBoard, connect: Connect) -> None:
    # extmod/modlwip.c, lwip_tcp_send(): while the window is shut, it is the timeout that counts.
    board = make_board("", kind=BOARDS["edge"])
    connect(board)
    board.run(FILL)
    out = board.run("""
cl.settimeout(0.2)
t = time.ticks_ms()
try: cl.write(b'x')
except OSError as e: print(e.errno, 200 <= time.ticks_diff(time.ticks_ms(), t) < 1000)
""")
    assert out == "110 True"


@BOTH
def test_accepted_socket_and_the_timeout_of_the_listener(make_board: MakeBoard, kind: Kind, connect: Connect) -> None:
    # extmod/modlwip.c, lwip_socket_accept() copies it; esp32/modsocket.c, socket_accept() does not.
    board = make_board("")
    connect(board)
    board.run("cl = s.accept()[0]; cl.recv(1); cl.close()")
    with socket.create_connection(("127.0.0.1", board.port)) as client:
        board.run("s.settimeout(0); cl = s.accept()[0]")
        board.type("print(cl.read(1))\r")
        if not kind.level:
            board.wait("\r\nNone\r\n>>> ")
        else:
            client.sendall(b"x")
            board.wait("\r\nb'x'\r\n>>> ")


@BOTH
@pytest.mark.parametrize("call", ["s.accept()", "cl.recv(1)", "cl.read(1)"])
def test_socket_timeout(make_board: MakeBoard, connect: Connect, kind: Kind, call: str) -> None:
    # esp32/modsocket.c, _socket_settimeout(): 0.2 s are an attempt of 100 ms, and two retries.
    board = make_board("")
    connect(board)
    board.run("cl = s.accept()[0]; cl.recv(1); cl.settimeout(0.2); s.settimeout(0.2)")
    out = board.run(f"""
import time
t = time.ticks_ms()
try:
    {call}
except OSError as e:
    print(e.errno, time.ticks_diff(time.ticks_ms(), t))
""")
    errno, took = map(int, out.split())
    least = 200 if not kind.level else 300
    assert errno == 110
    assert least <= took < least + 90


def test_close_twice_closes_one(plain: Board) -> None:
    plain.run(SERVER + "s = socket.socket(); s.close(); f = open('x', 'w'); s.close(); f.write('y'); f.close()")
    assert (plain.flash / "x").read_text() == "y"


@pytest.mark.parametrize(("firmware", "room"), [(FIRMWARE, "259"), (ESP8266, "255")])
def test_ring_buffer(make_board: MakeBoard, monkeypatch: pytest.MonkeyPatch, firmware: Path, room: str) -> None:
    # esp32/mphalport.c and esp8266/esp_mphal.c: stdin_ringbuf_array, of which a byte stays free.
    monkeypatch.setenv("BOARD_DUPTERM", "notify")
    plain = make_board("", firmware=firmware)
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
    assert out == room


@pytest.mark.boards("esp32-ticks", "lwip", "lwip-esp8266", reason="an emulated board is a program, too")
def test_end_of_file_is_a_cable_pulled_out(tmp_path: Path, kind: Kind) -> None:
    port = free_port()
    write_flash(tmp_path, port)
    with subprocess.Popen(
        [kind.firmware, "-m", "board"], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
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


@pytest.mark.boards("edge", "esp32-1.29", "stm32", "lwip", "lwip-esp8266", reason="those that have virtual timers")
def test_virtual_timer(plain: Board) -> None:
    # esp32/machine_timer.c from 1.29 on, machine_timer_isr_virtual(): through the scheduler, as extmod/machine_timer.c.
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


def test_esp32_has_no_virtual_timer_up_to_1_28(plain: Board) -> None:
    # esp32/machine_timer.c, machine_timer_make_new().
    with pytest.raises(AssertionError, match="ValueError"):
        plain.run("from machine import Timer; Timer(-1)")
    assert plain.run("print(Timer(3) is Timer(3), Timer(2) is Timer(3))") == "True False"


def test_esp32_timer_up_to_1_24_is_the_users(make_board: MakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    # esp32/machine_timer.c of 1.24, machine_timer_make_new(): the lowest two bits of the number count.
    monkeypatch.setenv("BOARD_TIMER", "hardware")
    out = make_board("").run("""
import time
from machine import Timer
calls = []
Timer(3, mode=Timer.PERIODIC, period=10, callback=lambda t: calls.append('mine'))
Timer(-1).init(mode=Timer.ONE_SHOT, period=50, callback=lambda t: calls.append('yours'))
time.sleep_ms(200)
print(Timer(-1) is Timer(3), calls.count('yours'), 'mine' in calls[-2:])
""")
    assert out == "True 1 False"


@pytest.mark.parametrize(
    ("firmware", "board_kind", "told"),
    [(FIRMWARE, "esp32", b""), (FIRMWARE, "edge", b"MPY: soft reboot\r\n"), (ESP8266, "edge", b""),
     (STM32, "edge", b"MPY: soft reboot\r\n")],
    ids=["esp32", "lwip", "esp8266", "stm32"],
)  # fmt: skip
def test_soft_reset_frees_and_tells(
    make_board: MakeBoard, firmware: Path, board_kind: str, told: bytes, connect: Connect
) -> None:
    # esp32/main.c, mp_task(), and esp8266/main.c, soft_reset(), run gc_sweep_all() first, which closes what
    # os.dupterm() has; rp2/main.c, main(), mimxrt/main.c and stm32/main.c, stm32_main(), print first.
    board = make_board("", kind=BOARDS[board_kind], firmware=firmware)
    (client,) = connect(board)
    board.run("import os; cl = s.accept()[0]; cl.recv(1); cl.setblocking(False)")
    board.type("os.dupterm(cl); print('in')\r")
    board.wait("in\r\n>>> ")
    board.type("\x04")
    board.wait("MPY: soft reboot\r\n.*>>> ")
    text = b""
    while data := client.recv(4096):
        text += data
    assert b"in\r\n>>> " in text
    assert text.endswith(b">>> \r\n" + told)


@pytest.mark.parametrize("port", ["stm32", "rp2"])
def test_lwip_port_that_reads_dupterm(make_board: MakeBoard, monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    # stm32/mphalport.c and rp2/mphalport.c, mp_hal_stdin_rx_chr(); stm32/mpconfigport.h leaves
    # MICROPY_PY_OS_DUPTERM_NOTIFY at 0.
    monkeypatch.setenv("BOARD_DUPTERM", "direct")
    board = make_board("", kind=BOARDS["edge"], firmware=STM32 if port == "stm32" else FIRMWARE)
    assert board.run("import os; print(hasattr(os, 'dupterm_notify'))") == str(port == "rp2")
    board.run(STREAM)
    board.type("t = Stream(b'print(6*7)\\r'); os.dupterm(t)\r")
    board.wait("\r\n42\r\n>>> ")


def test_lan_is_counted(make_board: MakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_board("").run("import network; print(hasattr(network, 'LAN'))") == "False"
    count = "import network; network.LAN(); network.LAN().active(); print(network.LAN.made)"
    stm32 = make_board("", firmware=STM32)
    assert stm32.run(count) == "2"
    assert stm32.run("print(hasattr(network, 'WLAN'))") == "False"
    monkeypatch.setenv("BOARD_LAN", "1")
    assert make_board("").run(count) == "2"


def test_esp8266_lacks_what_it_lacks(make_board: MakeBoard) -> None:
    # esp8266/mpconfigport.h.
    board = make_board("", firmware=ESP8266)
    lacks = "'partition' 'rpartition' 'center' 'splitlines'".replace(" ", ", ")
    assert board.run(f"print([hasattr(str, name) or hasattr(bytes, name) for name in ({lacks})])") == str([False] * 4)
    board.run("class A:\n  def __getitem__(self, s): return hasattr(s, 'indices')")
    assert board.run("print(A()[1:2])") == "False"
    board.run("""
class A:
    def __setattr__(self, name, value): print('hook')
a = A()
a.x = 1
assert a.x == 1
import gc
gc.collect()
""")
    # OBJ_REPR_C: small integers of 31 bits, and floats that are no object of the heap.
    assert board.run("import sys; print(sys.maxsize, 0.1 + 0.2)") == "2147483647 0.3"
    assert 31_000 < int(board.run("gc.collect(); print(gc.mem_free())")) < 35_000


def test_esp8266_scheduler_has_four_places(make_board: MakeBoard) -> None:
    # py/mpconfig.h, MICROPY_SCHEDULER_DEPTH; 8 in esp32/mpconfigport.h.
    code = """
import micropython
def f(_):
    n = 0
    try:
        while True: micropython.schedule(print, 0); n += 1
    except RuntimeError: print('places', n)
micropython.schedule(f, 0)
"""
    assert "places 4" in make_board("", firmware=ESP8266).run(code)
    assert "places 8" in make_board("").run(code)


def test_machine_reset_and_heap_size(make_board: MakeBoard) -> None:
    board = make_board("import webrepl", heap="48k")
    assert 40_000 < int(board.run("import gc; print(gc.mem_alloc() + gc.mem_free())")) < 50_000
    board.type("import machine; machine.reset()\r")
    board.wait(re.escape("; Virtual board with unix") + ".*>>> ")
    assert 40_000 < int(board.run("import gc; print(gc.mem_alloc() + gc.mem_free())")) < 50_000
