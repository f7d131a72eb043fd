"""The documented API, statement by statement: https://docs.micropython.org/en/latest/library/webrepl.html.

Runs on the usual boards: the socket events of an ESP32 and of lwIP ports, lwIP itself, and an ESP8266's language.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable

import pytest
import websocket
from board import PASSWORD, Board
from client import Client

IDLE = ""
"""A boot.py that starts nothing."""


@pytest.fixture
def idle(make_board: Callable[..., Board]) -> Board:
    """Return a board on which WebREPL is imported but not started."""
    board = make_board(IDLE)
    board.run("import webrepl")
    return board


def get_page(port: int, path: str = "/") -> tuple[http.client.HTTPResponse, str]:
    """Fetch a page from the board."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    response = connection.getresponse()
    page = response.read().decode()
    connection.close()
    return response, page


def session(port: int, password: str = PASSWORD) -> None:
    """Log in and use the REPL."""
    with Client(port, login=False) as c:
        c.login(password)
        assert c.run("print(6*7)") == "42"


def refusal(port: int) -> tuple[int, bytes]:
    """Connect as a second client; return the first frame that comes."""
    with Client(port, login=False) as c:
        opcode, data = c.ws.recv_data()
        return opcode, bytes(data)


# start()


def test_start_takes_port_and_password(idle: Board) -> None:
    assert idle.run(f"webrepl.start({idle.port}, 'hello')").splitlines() == [
        f"WebREPL server started on {idle.kind.shown(idle.port)}",
        "Started webrepl in manual override mode",
    ]
    session(idle.port, "hello")


def test_start_takes_keywords_and_returns_none(idle: Board) -> None:
    out = idle.run(f"print(webrepl.start(port={idle.port}, password='x', accept_handler=webrepl.accept_conn))")
    assert out.splitlines()[-1] == "None"
    session(idle.port, "x")


def test_default_port_is_8266(idle: Board) -> None:
    # The port may be taken on this machine, so the board says what it would bind.
    out = idle.run("""
import socket
class Socket:
    def __getattr__(self, name): return lambda *args: print(name, args)
socket_socket = socket.socket
import sys
class Module:
    def __getattr__(self, name): return getattr(socket, name)
    def socket(self): return Socket()
webrepl.socket = Module()
webrepl.start(password='x')
""")
    assert "bind (('', 8266),)" in out


def test_start_reads_password_from_cfg(board: Board) -> None:
    assert "Started webrepl in normal mode" in board.text
    session(board.port)


def test_start_reads_cfg_anew(board: Board) -> None:
    board.write("webrepl_cfg.py", "PASS = 'other'\nBASE = 'http://example/'\n")
    board.run(f"webrepl.start({board.port})")
    session(board.port, "other")
    assert '<base href="http://example/">' in get_page(board.port)[1]
    board.run("import webrepl_cfg")
    board.write("webrepl_cfg.py", "PASS = 'third'\n")
    board.run(f"webrepl.start({board.port})")
    session(board.port, "third")
    assert board.run("import sys; print('webrepl_cfg' in sys.modules)") == "False"


@pytest.mark.parametrize(
    ("cfg", "why"),
    [
        (None, "no module named 'webrepl_cfg'"),
        ("PASS = (", "SyntaxError"),
        ("1/0", "ZeroDivisionError"),
        ("import nothing", "no module named 'nothing'"),
        ("", "PASS"),
        ("PASS = 1234", "1 to 9 bytes"),
        ("PASS = ''", "1 to 9 bytes"),
        ("PASS = None", "1 to 9 bytes"),
        ("PASS = '0123456789'", "1 to 9 bytes"),
    ],
)
def test_cfg_that_does_not_do(idle: Board, cfg: str | None, why: str) -> None:
    if cfg is None:
        idle.remove("webrepl_cfg.py")
    else:
        idle.write("webrepl_cfg.py", cfg)
    out = idle.run(f"webrepl.start({idle.port}); print(webrepl.listen_s)")
    assert why in out
    assert "import webrepl_setup" in out
    assert out.splitlines()[-1] == "None"
    assert "Traceback" not in out
    assert "Started" not in out
    assert not idle.listens()


@pytest.mark.parametrize(
    "password", ["''", "'0123456789'", "'\u20ac\u20ac\u20ac\u20ac'", "1234", "b'abcd'", r"'a\0bc'", r"'a\nb'"]
)
def test_bad_password_raises(idle: Board, password: str) -> None:
    out = idle.run(f"""
try:
    webrepl.start({idle.port}, {password})
except ValueError as e:
    print(e)
print(webrepl.listen_s)
""")
    assert out.splitlines() == ["Password: str of 1 to 9 bytes", "None"]
    assert not idle.listens()


@pytest.mark.parametrize("password", ["a", "012345678", "\u20ac\u20ac\u20ac", "'\"\\{}"])
def test_good_password_logs_in(idle: Board, password: str) -> None:
    idle.run(f"webrepl.start({idle.port}, {password!r})")
    session(idle.port, password)
    with Client(idle.port, login=False) as c:
        c.wait("Password: ")
        c.type(password + "x\r")
        c.wait("\r\nAccess denied\r\n")


def test_start_while_started_begins_anew(board: Board) -> None:
    with Client(board.port) as c:
        board.run(f"webrepl.start({board.other_port}, 'new')")
        c.wait_end()
    with pytest.raises((OSError, websocket.WebSocketException)):
        session(board.port)
    session(board.other_port, "new")


def test_port_in_use(idle: Board) -> None:
    idle.run(f"import socket; s = socket.socket(); s.bind(('', {idle.port})); s.listen(1)")
    before = idle.resources()
    out = idle.run(f"""
import errno
try:
    webrepl.start({idle.port}, 'x')
except OSError as e:
    print(e.errno == errno.EADDRINUSE)
print(webrepl.listen_s)
""")
    assert out.splitlines() == ["True", "None"]
    assert idle.resources() == before
    idle.run("s.close()")
    idle.run(f"webrepl.start({idle.port}, 'x')")
    session(idle.port, "x")


def test_own_accept_handler(idle: Board) -> None:
    idle.run(f"""
def handler(listen_sock):
    print("handler", listen_sock is webrepl.listen_s, webrepl.accept_conn(listen_sock))
webrepl.start({idle.port}, 'x', handler)
""")
    assert "<base" in get_page(idle.port)[1]
    idle.wait("handler True False")
    with Client(idle.port, login=False) as c:
        idle.wait("handler True True")
        c.login("x")
        assert refusal(idle.port)[1][:2] == b"\x03\xf5"
        idle.wait("handler True False")
        assert c.run("print(1)") == "1"


@pytest.mark.parametrize("call", ["start(port={}, password='x', accept_handler=None)", "start_foreground({}, 'x')"])
def test_foreground(idle: Board, call: str) -> None:
    idle.type("webrepl." + call.format(idle.port) + "; print('returned')\r")
    idle.wait("WebREPL server started on")
    idle.wait("Starting webrepl in foreground mode")
    assert "<base" in get_page(idle.port)[1]
    assert get_page(idle.port, "/favicon.ico")[0].status == 404
    assert "returned\r\n" not in idle.text
    with Client(idle.port, login=False) as c:
        idle.wait("returned\r\n")
        c.login("x")
        assert c.run("print(6*7)") == "42"


def test_foreground_reads_cfg(idle: Board) -> None:
    idle.type(f"webrepl.start_foreground(port={idle.port})\r")
    idle.wait("WebREPL server started on")
    session(idle.port)


def test_foreground_ends_with_ctrl_c(idle: Board) -> None:
    idle.type(f"webrepl.start_foreground({idle.port}, 'x')\r")
    idle.wait("WebREPL server started on")
    idle.type("\x03")
    idle.wait("KeyboardInterrupt.*>>> ")
    idle.run(f"webrepl.start({idle.port}, 'x')")
    session(idle.port, "x")


# stop()


def test_stop(board: Board) -> None:
    board.run("import webrepl; webrepl.stop()")
    before = board.resources()
    board.run(f"webrepl.start({board.port})")
    with Client(board.port) as c:
        board.run("webrepl.stop(); print(webrepl.listen_s, webrepl.client_s)")
        board.run("webrepl.stop()")
        c.wait_end()
    assert board.run("import os; print(webrepl.listen_s, webrepl.client_s, os.dupterm(None))") == "None None None"
    assert not board.listens()
    board.wait_resources(before)


def test_stop_before_start(idle: Board) -> None:
    assert idle.run("webrepl.stop(); webrepl.stop(); print(webrepl.listen_s, webrepl.client_s)") == "None None"


def test_stop_from_inside(board: Board) -> None:
    with Client(board.port) as c:
        c.type("import webrepl; webrepl.stop()\r")
        c.wait_end()
    assert board.run("print(webrepl.listen_s, webrepl.client_s)") == "None None"
    board.run(f"webrepl.start({board.port})")
    session(board.port)


def test_restart_from_inside(board: Board) -> None:
    with Client(board.port) as c:
        c.type(f"import webrepl; webrepl.start({board.port}, 'again')\r")
        c.wait_end()
    board.wait("manual override mode")
    session(board.port, "again")


OWN_STREAM = """
import io, os
class Own(io.IOBase):
    def write(self, buf): return len(buf)
    def readinto(self, buf): return None
    def ioctl(self, req, arg): return 0
own = Own()
"""


def test_stop_leaves_another_stream(board: Board) -> None:
    with Client(board.port):
        board.run(OWN_STREAM + "os.dupterm(own)")
        assert board.run("webrepl.stop(); print(os.dupterm(None) is own)") == "True"


def test_stop_detaches_client(board: Board) -> None:
    with Client(board.port):
        assert board.run("import os; t = os.dupterm(None); print(t is not None); os.dupterm(t)") == "True"
        assert board.run("webrepl.stop(); print(os.dupterm(None))") == "None"


# accept_conn()


def test_second_client_is_rejected(board: Board) -> None:
    with Client(board.port) as c:
        assert refusal(board.port) == (websocket.ABNF.OPCODE_CLOSE, b"\x03\xf5WebREPL is in use")
        board.wait(rf"Concurrent WebREPL connection from \('{board.kind.client_address}', \d+\) rejected")
        assert c.run("print(6*7)") == "42"
        assert get_page(board.port)[0].status == 200
        assert c.run("print(7*7)") == "49"


def test_client_that_left_makes_room(board: Board) -> None:
    for leave in (Client.vanish, lambda c: c.ws.close(timeout=1)):
        with Client(board.port) as c:
            assert board.run("print(webrepl.client_s is not None)") == "True"
            leave(c)
        board.wait("dupterm: EOF received|WebREPL client is gone")
        assert board.run("print(webrepl.client_s)") == "None"


def test_place_of_a_client_that_has_just_left_is_free(board: Board) -> None:
    """The newcomer's turn may come before that of the client's socket."""
    with Client(board.port) as c:
        # No callback runs during the sum, which takes a second, and all of them before anything is printed.
        board.run("import time; t = time.ticks_us(); sum(range(50000)); t = time.ticks_diff(time.ticks_us(), t)")
        board.type("x = sum(range(50_000_000_000 // t)), any(i < 0 for i in range(9999))\r")
        board.wait("9999\\)\\)\r\n")
        c.vanish()
        with Client(board.port) as newcomer:
            assert newcomer.run("print(6*7)") == "42"
    assert "rejected" not in board.text


def test_messages(board: Board) -> None:
    session(board.port)
    board.wait(rf"WebREPL connection from: \('{board.kind.client_address}', \d+\)\r\n")


def test_tcp_nodelay(board: Board) -> None:
    with Client(board.port) as c:
        times = []
        for _ in range(20):
            start = time.perf_counter()
            c.type("x")
            c.wait("x")
            times.append(time.perf_counter() - start)
        assert sorted(times)[10] < 0.02, "the echo waits for the client's delayed ACK"


# server_handshake() and send_html()

HANDSHAKE = """
import socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('', {port}))
s.listen(1)
print('listening')
cl, addr = s.accept()
print(webrepl.server_handshake(cl))
{then}
cl.close(); s.close()
"""


def test_server_handshake(idle: Board) -> None:
    idle.type("\x05" + HANDSHAKE.format(port=idle.port, then="print(cl.read(6))") + "\x04")
    idle.wait(r"\nlistening(?=\r\n)")
    with Client(idle.port, login=False) as c:
        assert c.ws.getstatus() == 101
        idle.wait("\r\nTrue\r\n")
        c.type("")
        # The mask may have a quote in it.
        idle.wait(r"b['\"]\\x81\\x80")
        c.vanish()


def test_send_html_after_handshake_of_a_page(idle: Board) -> None:
    idle.type("\x05" + HANDSHAKE.format(port=idle.port, then="webrepl.send_html(cl)") + "\x04")
    idle.wait(r"\nlistening(?=\r\n)")
    response, page = get_page(idle.port)
    idle.wait("\r\nFalse\r\n")
    assert response.status == 200
    assert "webrepl_content.js" in page


def test_page(board: Board) -> None:
    response, page = get_page(board.port)
    assert response.status == 200
    assert response.getheader("Content-Type", "").startswith("text/html")
    assert response.getheader("Connection") == "close"
    assert page.startswith("<!DOCTYPE html>")
    assert '<base href="https://micropython.org/webrepl/">' in page
    assert "webrepl_content.js" in page


def test_static_host_may_be_reassigned(board: Board) -> None:
    board.run("webrepl.static_host = 'http://other/'")
    assert '<base href="http://other/">' in get_page(board.port)[1]


def test_send_html_closes_the_socket_whatever_happens(idle: Board) -> None:
    out = idle.run("""
class Cl:
    def write(self, data): raise OSError(104)
    def close(self): print('closed')
try:
    webrepl.send_html(Cl())
except OSError as e:
    print(e.errno)
""")
    assert out.splitlines() == ["closed", "104"]


# Constants and names


def test_constants(idle: Board) -> None:
    assert idle.run("print(webrepl.DEBUG, webrepl.static_host, webrepl.listen_s, webrepl.client_s)") == (
        "0 https://micropython.org/webrepl/ None None"
    )


def test_listen_s_and_client_s_are_sockets(board: Board) -> None:
    with Client(board.port):
        out = board.run(
            "import socket; print(*[isinstance(s, socket.socket) for s in (webrepl.listen_s, webrepl.client_s)])"
        )
        assert out == "True True"


def test_debug_traces_requests(board: Board) -> None:
    board.run("webrepl.DEBUG = 1")
    get_page(board.port)
    board.wait("GET / HTTP/1.1")
    board.wait("Host: 127.0.0.1")


def test_setup_conn(idle: Board) -> None:
    assert idle.run(f"print(webrepl.setup_conn({idle.port}, webrepl.accept_conn) is webrepl.listen_s)").endswith("True")
    assert get_page(idle.port)[0].status == 200


# A cable is asked on an ESP32 only: on other ports LAN() starts the interface anew (ports/mimxrt/network_lan.c,
# ports/stm32/network_lan.c: network_lan_make_new()).
@pytest.mark.parametrize(
    ("platform", "network", "shown"),
    [
        ("esp32", "WLAN = lambda i: Interface('10.0.0.%d' % i, i == 0)", ["http://10.0.0.0:{}/"]),
        ("rp2", "WLAN = lambda i: Interface('10.0.0.%d' % i, True)", ["http://10.0.0.0:{}/", "http://10.0.0.1:{}/"]),
        (
            "esp32",
            "WLAN = lambda i: Interface('10.0.0.%d' % i, i == 1); LAN = lambda: Interface('10.0.0.9', True)",
            ["http://10.0.0.1:{}/", "http://10.0.0.9:{}/"],
        ),
        ("esp32", "LAN = lambda: Interface('10.0.0.9', True)", ["http://10.0.0.9:{}/"]),
        ("mimxrt", "LAN = lambda: print('started anew')", ["port {}"]),
        ("esp32", "LAN = lambda phy: 1", ["port {}"]),
        ("esp32", "WLAN = lambda i: 1 / 0; LAN = lambda: 1 / 0", ["port {}"]),
        ("esp32", "", ["port {}"]),
    ],
)
def test_addresses_of_each_interface(idle: Board, platform: str, network: str, shown: list[str]) -> None:
    idle.run(f"""
import sys
class Interface:
    def __init__(self, ip, up): self.ip = ip; self.up = up
    def active(self): return self.up
    def ifconfig(self): return (self.ip, '', '', '')
class network: pass
for line in {network!r}.split(';'):
    name, *value = line.strip().split(' = ')
    if name: setattr(network, name, staticmethod(eval(value[0])))
sys.modules['network'] = network
class Sys:
    platform = {platform!r}
    def __getattr__(self, name): return getattr(sys, name)
webrepl.sys = Sys()
""")
    out = idle.run(f"webrepl.start({idle.port}, 'x')")
    assert out.splitlines()[:-1] == ["WebREPL server started on " + s.format(idle.port) for s in shown]
    session(idle.port, "x")
