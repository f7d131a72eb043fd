"""What single ports do differently, and users of them would notice."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import websocket
from board import BUILD, ROOT, TWIN, Board, Kind, boot, free_port, write_flash
from client import Client, client_when_let_in

MakeBoard = Callable[..., Board]


# A soft reset with a client in. ports/esp32/main.c, mp_task(), and ports/esp8266/main.c, soft_reset(), print its text
# when all memory has been freed already, the client's too: what it is made of may be given out again.

BEFORE = [
    "def f(): pass\n",
    "x = [1, 2, 3]\n",
    "d = {1: 2}\n",
    "class A: pass\n",
    "import os, sys, time\n",
    "l = [bytes(10) for i in range(20)]\n",
    "def g(a, b=2):\n  return a\n",
    "s = 'abc' * 30\n",
]


def prefixes() -> list[str]:
    """Return starts of a boot.py, each of which leaves the memory in another state."""
    rng = random.Random(1)
    return ["".join(rng.choices(BEFORE, k=rng.randrange(5))) for _ in range(8)]


def reset_twice(flash: Path, kind: Kind, *, prefix: str, twin: bool = False) -> None:
    """Boot a board; have it reset twice in a row with a client in, from either console."""
    port = free_port()
    write_flash(flash, port, boot=f"{prefix}import webrepl\nwebrepl.start({port})\n", twin=twin)
    with boot(flash, kind, port=port) as board:
        board.wait(">>> ")
        for from_serial in (True, False):
            c = client_when_let_in(board.port)
            assert c.run("print(6*7)") == "42"
            (board if from_serial else c).type("\x04")
            board.wait("MPY: soft reboot.*>>> ")
            c.vanish()
        with client_when_let_in(board.port) as c:
            assert c.run("print(6*7)") == "42"


@pytest.mark.boards("esp32", "esp32-1.29", "esp8266", "edge", "lwip", "lwip-esp8266", reason="each resets in its way")
@pytest.mark.parametrize("prefix", prefixes())
def test_soft_reset_with_a_client(kind: Kind, tmp_path: Path, prefix: str) -> None:
    """The board starts again, and serves, twice in a row."""
    reset_twice(tmp_path, kind, prefix=prefix)


@pytest.mark.boards("esp32", "edge", "lwip", reason="an ESP8266 has too little memory for the source of the twin")
def test_soft_reset_with_the_twin(kind: Kind, tmp_path: Path) -> None:
    """So it does with _webrepl.py, whose memory is freed as well."""
    for i, prefix in enumerate(prefixes()[:3]):
        reset_twice(tmp_path / str(i), kind, prefix=prefix, twin=True)


@pytest.mark.boards("esp32", "esp32-1.27", "edge", "lwip", reason="those that have told a client, and that have not")
def test_what_a_client_is_told_of_a_soft_reset(board: Board) -> None:
    """A board that closes its sockets first can tell nothing; the others tell it. None hangs."""
    with Client(board.port) as c:
        board.type("\x04")
        c.wait_end()
        assert ("MPY: soft reboot" in c.text) == (not board.kind.level)
    board.wait("MPY: soft reboot.*>>> ")


# Ctrl-C against a program that neither reads nor sleeps.


@pytest.mark.boards("esp32-1.29", "edge", "lwip", "lwip-esp8266", reason="those with timers, or events while code runs")
def test_ctrl_c_of_a_client_stops_a_program_that_computes(board: Board) -> None:
    """It comes within a second, and the session goes on."""
    with Client(board.port) as c:
        for _ in range(3):
            c.type("while True: pass\r\r")
            board.wait("\\.\\.\\. \r\n")
            time.sleep(0.2)
            start = time.monotonic()
            c.type("\x03")
            c.wait("KeyboardInterrupt: \r\n>>> ")
            assert time.monotonic() - start < 1
        assert c.run("print(6*7)") == "42"


@pytest.mark.boards("esp32", "esp32-1.27", "stm32", reason="ports/esp32 up to 1.28 looks at no socket meanwhile")
def test_ctrl_c_of_the_serial_console_stops_a_program_that_computes(board: Board) -> None:
    """Where that of a client cannot, as the README says; the client has its prompt after it."""
    with Client(board.port) as c:
        c.type("while True: pass\r\r")
        board.wait("\\.\\.\\. \r\n")
        # While a line is edited it is a key like others.
        time.sleep(0.2)
        board.type("\x03")
        c.wait("KeyboardInterrupt: \r\n>>> ")
        assert c.run("print(6*7)") == "42"


@pytest.mark.boards("stm32", reason="the port that has no os.dupterm_notify()")
def test_ctrl_c_where_there_is_no_dupterm_notify(board: Board) -> None:
    """It ends no session: it comes when the program reads."""
    with Client(board.port) as c:
        c.type("import sys; sys.stdin.read(1)\r")
        c.wait("\\)\r\n")
        c.type("\x03")
        c.wait("KeyboardInterrupt: \r\n>>> ")
        c.type("\x03\x03")
        assert c.run("print(6*7)") == "42"


# What is the program's.


@pytest.mark.boards("esp32", "edge", "lwip", "lwip-esp8266", reason="with one and with two places in os.dupterm")
def test_stream_of_the_program_in_dupterm_stays(make_board: MakeBoard) -> None:
    """A client is told that the place is taken; when the program gives it back, the next one has it."""
    board = make_board()
    board.run("""
import io, os
class Log(io.IOBase):
    text = b''
    def write(self, buf): self.text += bytes(buf)
    def readinto(self, buf): return None
log = Log()
os.dupterm(log)
""")
    with Client(board.port, login=False) as c:
        opcode, data = c.ws.recv_data()
        assert (opcode, data) == (websocket.ABNF.OPCODE_CLOSE, b"\x03\xf5os.dupterm is in use")
    board.wait("Concurrent WebREPL connection from .* rejected\r\n")
    assert board.run("print('logged'); print(b'logged' in log.text)") == "logged\nTrue"
    board.run("os.dupterm(None)")
    with Client(board.port) as c:
        assert c.run("print(6*7)") == "42"


# What callbacks do at a branch, done at a moment that is hard to meet: here somebody else has come.
COMES = """
import os, time, webrepl
def come():
    while not webrepl._terminal:
        webrepl._on_timer(None)
        time.sleep_ms(10)
"""
# When the first client's end has been seen, and os.dupterm() is asked to let go.
GOES = """
class Os:
    def __getattr__(self, name):
        return getattr(os, name)
    def dupterm(self, stream):
        was = os.dupterm(stream)
        webrepl.os = os
        come()
        return was
def arm():
    webrepl.os = Os()
    print('ready')
"""
# When something is read from the first client, which has to give way.
GIVES_WAY = """
class Closed:
    def __getattr__(self, name):
        return getattr(cl, name)
    def read(self, size):
        webrepl._drop()
        come()
        raise OSError(9)
def arm():
    global cl
    cl = webrepl._terminal.connection.cl
    webrepl._terminal.connection.cl = Closed()
    print('ready')
"""


@pytest.mark.boards("esp32", "edge", "stm32", "lwip", "lwip-esp8266", reason="where callbacks come differs")
@pytest.mark.parametrize("moment", [GOES, GIVES_WAY], ids=["goes", "gives way"])
def test_who_comes_while_another_goes_keeps_the_place(board: Board, moment: str) -> None:
    """A port without os.dupterm_notify() calls back at any branch."""
    board.run(COMES + moment)
    with Client(board.port):
        board.type("arm()\r")
        board.wait("ready")
    with client_when_let_in(board.port) as c:
        assert c.run("print(6*7)") == "42"


@pytest.mark.boards("esp32", "edge", "stm32", "lwip", "lwip-esp8266", reason="where callbacks come differs")
def test_of_two_who_come_at_once_one_has_the_place(board: Board) -> None:
    """The other is told by the end of the connection, and does not wait for ever."""
    board.run("""
import time, webrepl
new_terminal = webrepl._new_terminal
def wait(cl, ip):
    webrepl._new_terminal = new_terminal
    while not webrepl._terminal:
        webrepl._on_timer(None)
        time.sleep_ms(10)
    return new_terminal(cl, ip)
webrepl._new_terminal = wait
""")
    with Client(board.port, login=False) as c, Client(board.port, login=False) as other:
        c.login()
        assert c.run("print(6*7)") == "42"
        other.wait_end()


PLATFORM = """
import sys, webrepl
class System:
    platform = {!r}
    def __getattr__(self, name): return getattr(sys, name)
webrepl.sys = System()
"""
LAN = """
import network
made = [0]
class LAN:
    def __init__(self, *args): made[0] += 1
    def active(self): return True
    def ifconfig(self): return ('192.168.1.9', '', '', '')
network.LAN = LAN
"""


@pytest.mark.parametrize("platform", ["esp32", "esp8266", "rp2", "mimxrt", "pyboard"])
@pytest.mark.boards("edge", reason="any will do: webrepl.py asks sys.platform")
def test_network_lan_is_made_on_an_esp32_only(make_board: MakeBoard, platform: str) -> None:
    """There it is the one that is up already; elsewhere LAN() starts the cable anew, for some seconds or for good."""
    board = make_board("")
    shown = board.run(f"{PLATFORM.format(platform)}{LAN}webrepl.start({board.port}, 'x'); print('made', made[0])")
    made = int(platform == "esp32")
    assert f"made {made}" in shown
    assert shown.count(f"http://192.168.1.9:{board.port}/") == made


@pytest.mark.boards("stm32", "lwip", reason="those without network.WLAN")
def test_board_with_a_cable_only_says_its_port(make_board: MakeBoard) -> None:
    """Its address is not to be had without starting the cable anew."""
    board = make_board("")
    shown = board.run(f"import webrepl; webrepl.start({board.port}, 'x')")
    assert f"port {board.port}\n" in shown
    assert board.run("import network; print(getattr(network.LAN, 'made', 0))") == "0"


@pytest.mark.boards("esp32", reason="the port whose Timer(-1) was one of its four up to 1.24")
@pytest.mark.parametrize(("version", "taken"), [((1, 24, 1), False), ((1, 29, 0), True)])
def test_timer_of_the_program_is_not_taken(
    make_board: MakeBoard, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], taken: bool
) -> None:
    """machine_timer_make_new() of ports/esp32/machine_timer.c in 1.24: -1 is 3, which a program may use."""
    monkeypatch.setenv("BOARD_TIMER", "virtual" if taken else "hardware")
    board = make_board("")
    shown = board.run(f"""
{PLATFORM.format("esp32")}
System.implementation = ('micropython', {version})
import machine
calls = []
def timer(n):
    calls.append(n)
    return was(n)
was, machine.Timer = machine.Timer, timer
webrepl.start({board.port}, 'x')
print('calls', calls)
""")
    assert f"calls {[-1] if taken else []}" in shown


# Handlers of the program for new connections.


@pytest.mark.boards("esp32", "edge", "lwip", "lwip-esp8266", reason="each waits in its own way")
def test_handler_cannot_hang_the_board(make_board: MakeBoard) -> None:
    """When its connection is gone before it runs, its accept() ends after a second."""
    board = make_board("")
    shown = board.run(f"""
import time, webrepl
webrepl.start({board.port}, 'x', accept_handler=lambda s: None)
t = time.ticks_ms()
try: webrepl.listen_s.accept()
except OSError as e: print(e)
print('waited', time.ticks_diff(time.ticks_ms(), t))
""")
    assert 900 < int(shown.split()[-1]) < 2000


@pytest.mark.boards("esp32", "esp32-ticks", reason="through the scheduler, no handler interrupts another")
def test_accept_conn_in_a_handler_is_not_nested(make_board: MakeBoard) -> None:
    """Silent clients, each of which is waited for, would nest it without end where handlers are called directly."""
    board = make_board("")
    board.run(f"""
import webrepl
depth = deepest = 0
def handler(s):
    global depth, deepest
    depth += 1
    deepest = max(depth, deepest)
    webrepl.accept_conn(s)
    depth -= 1
webrepl.start({board.port}, 'secret', accept_handler=handler)
""")
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            silent = socket.socket()
            stack.enter_context(silent)
            silent.connect(("127.0.0.1", board.port))
        time.sleep(1)
    assert int(board.run("print(deepest)")) <= 2
    with client_when_let_in(board.port) as c:
        assert c.run("print(6*7)") == "42"


# What a program reads.


@pytest.mark.boards("esp32", "esp32-1.27", "edge", "stm32", "lwip", "lwip-esp8266", reason="with their own rings")
def test_program_that_reads_slowly_gets_all_that_was_typed_ahead(board: Board) -> None:
    """100 bytes a second is slow, but it reads."""
    text = "".join(f"{i:04}," for i in range(160))
    with Client(board.port) as c:
        c.run("import sys, time")
        c.type("for i in range(80): b = sys.stdin.read(10); time.sleep_ms(100); print(b)\r\r")
        board.wait("\\.\\.\\. \r\n")
        c.type(text)
        c.ws.settimeout(20)
        c.wait("0158,0159,\r\n>>> ")
        got = re.findall(r"^((?:\d{4},){2})\r\n", c.text, re.MULTILINE)
        assert "".join(got) == text


@pytest.mark.boards("esp32", "esp32-1.27", "edge", "lwip", "lwip-esp8266", reason="with their own rings")
def test_ctrl_c_behind_much_that_nobody_reads(board: Board) -> None:
    """It comes through within 5 s; what was typed before it is lost."""
    with Client(board.port) as c:
        c.run("import time")
        c.type("while True: time.sleep_ms(50)\r\r")
        board.wait("\\.\\.\\. \r\n")
        start = time.monotonic()
        c.type("#" * 2000 + "\x03")
        c.wait("KeyboardInterrupt: \r\n>>> ")
        assert time.monotonic() - start < 5.5
        c.type("\x03")
        assert c.run("print(6*7)") == "42"


# An ESP8266's memory.


@pytest.mark.boards("esp8266", reason="33 kB of heap are free there, too little to compile either module")
@pytest.mark.parametrize("name", ["webrepl", "webrepl_setup"])
def test_module_as_mpy_on_an_esp8266(tmp_path: Path, kind: Kind, name: str) -> None:
    """As the README has it installed: compiled on the PC, by mpy-cross; the server leaves room for a session."""
    port = free_port()
    write_flash(tmp_path, port, boot="import sys; sys.path.remove('/lib'); sys.path.insert(0, '/lib')\n")
    (tmp_path / "lib").mkdir()
    mpy = tmp_path / "lib" / f"{name}.mpy"
    subprocess.run([BUILD / "mpy-cross" / "mpy-cross", "-O3", "-o", mpy, ROOT / f"{name}.py"], check=True)
    with boot(tmp_path, kind, port=port) as board:
        board.wait(">>> ")
        assert int(board.run("import gc; gc.collect(); print(gc.mem_free())")) < 35_000
        if name == "webrepl_setup":
            # It asks at once.
            board.type("import webrepl_setup\r")
            board.wait("\\(E\\)nable it, \\(D\\)isable it, or Enter to quit: ")
            return
        board.run(f"import webrepl; webrepl.start({port})")
        data = random.randbytes(20_000)
        with Client(port) as c:
            c.put("file", data)
            assert c.get("file") == data
            assert c.run("print(6*7)") == "42"


# Firmware without the C module.


@pytest.mark.boards("esp32", reason="ports/esp32/modsocket.c has socket events only with MICROPY_PY_WEBREPL")
def test_esp32_without_socket_events_says_so(make_board: MakeBoard) -> None:
    """There setsockopt() takes the handler and never calls it: to say "Started" would be a lie."""
    board = make_board("")
    board.write("twin.py", TWIN.read_text())
    board.run(PLATFORM.format("esp32"))
    shown = board.run(f"""
import socket
class Deaf:
    # What setsockopt(…, 20, …) is there.
    def __init__(self, sock): self.sock = sock
    def __getattr__(self, name): return getattr(self.sock, name)
    def setsockopt(self, level, option, value):
        if option != 20: self.sock.setsockopt(level, option, value)
class Sockets:
    def socket(self): return Deaf(socket.socket())
    def __getattr__(self, name): return getattr(socket, name)
webrepl.socket = Sockets()
webrepl._webrepl = sys.modules['_webrepl'] = __import__('twin')
webrepl.start({board.port}, 'x')
""")
    assert "Started" not in shown
    assert "start_foreground()" in shown
    assert board.run("print(webrepl.listen_s)") == "None"
