"""The REPL over WebSocket: login, both consoles, friendly and raw mode, soft reset.

Runs on the usual boards and on the virtual STM32 and ESP8266, as each port reads os.dupterm in its own way; Ctrl-C on
the ESP32 with its ticks, too. With the twin of _webrepl where there is heap for it.
"""

from __future__ import annotations

import contextlib

import pytest
import websocket
from board import PASSWORD, USUAL, Board, BoardError, Kind
from client import Client, client_when_let_in

REPL = (*USUAL, "stm32", "esp8266")
pytestmark = pytest.mark.boards(*REPL, reason="each port reads os.dupterm in its own way")
ESP32_TOO = pytest.mark.boards(*REPL, "esp32-ticks", "esp32-1.27", "esp32-1.29", reason="they differ in what they hear")


def attempt_when_free(port: int) -> None:
    """Try a wrong password as soon as the board has a place: it says that a session has ended before that is free."""
    while True:
        with Client(port, login=False) as c, contextlib.suppress(websocket.WebSocketConnectionClosedException):
            c.login_attempt("wrong")
            return


@pytest.mark.parametrize("enter", ["\r", "\n"])
def test_login(board: Board, enter: str) -> None:
    with Client(board.port, login=False) as c:
        c.wait("Password: $")
        c.type(PASSWORD + enter)
        c.wait("\r\nWebREPL connected\r\n>>> $")


@pytest.mark.parametrize("password", ["", "x", PASSWORD[:-1], PASSWORD + "x", PASSWORD.upper(), "x" * 100])
def test_wrong_password(board: Board, password: str) -> None:
    with Client(board.port, login=False) as c:
        c.wait("Password: ")
        c.type(password + "\r")
        c.wait("\r\nAccess denied\r\n")
        c.wait_end()
    board.wait("dupterm: EOF received")
    with Client(board.port):
        pass


def test_keys_of_a_password_one_by_one(board: Board) -> None:
    with Client(board.port, login=False) as c:
        for key in PASSWORD + "\r":
            c.type(key)
        c.wait("WebREPL connected")


def test_output_before_login_is_not_shown(board: Board) -> None:
    with Client(board.port, login=False) as c:
        board.run("print('hush')")
        c.login()
        assert "hush" not in c.text


def test_output_goes_to_both_consoles(board: Board) -> None:
    with Client(board.port) as c:
        c.type("print('from', 'client')\r")
        board.wait("from client\r\n>>> ")
        c.wait("from client\r\n>>> ")
        board.type("print('from', 'serial')\r")
        c.wait("from serial\r\n>>> ")


def test_exception_is_shown(board: Board) -> None:
    with Client(board.port) as c:
        assert c.run("1/0").splitlines()[-1] == "ZeroDivisionError: divide by zero"


# What they do without end.
PROGRAMS = {
    "computes": "pass",
    "sleeps": "time.sleep(1)",
    "reads": "sys.stdin.read(1)",
}


@ESP32_TOO
@pytest.mark.parametrize("program", PROGRAMS)
def test_ctrl_c_stops_a_program(board: Board, kind: Kind, program: str) -> None:
    heard = {"computes": kind.heard_computing, "sleeps": kind.heard_sleeping, "reads": True}[program]
    with Client(board.port) as c:
        # What comes before the program runs is a key: mp_hal_set_interrupt_char() in shared/runtime/pyexec.c.
        c.type(f"import sys, time\rexec('print(6*7)\\nwhile True: {PROGRAMS[program]}')\r")
        board.wait("\r\n42\r\n")
        c.type("\x03")
        if not heard:
            # Where the port does not look at what has come, only its own console stops a program.
            with pytest.raises(BoardError):
                board.wait("KeyboardInterrupt", timeout=1)
            board.type("\x03")
        c.wait("KeyboardInterrupt: \r\n>>> ")
        assert c.run("print(6*7)") == "42"


@pytest.mark.boards(
    "edge", "lwip", "lwip-esp8266", "esp8266", "esp32-1.29", reason="the others hear nobody while a program computes"
)
def test_ctrl_c_stops_a_program_that_prints(board: Board) -> None:
    with Client(board.port) as c:
        c.type("while True: print('x')\r\r")
        c.skip_to("x\r\nx\r\n")
        c.type("\x03")
        c.skip_to("KeyboardInterrupt: \r\n>>> ")


# Not on STM32: where Ctrl-C strikes in what sends the print, only os.dupterm_notify() hands it on, as README.md says.
@pytest.mark.boards(*USUAL, "esp8266", reason="STM32 has no os.dupterm_notify()")
def test_ctrl_c_from_the_serial_console(board: Board) -> None:
    with Client(board.port) as c:
        c.type("while True: print('x')\r\r")
        c.skip_to("x\r\nx\r\n")
        board.type("\x03")
        c.skip_to("KeyboardInterrupt: \r\n>>> ")
        assert c.run("print(6*7)") == "42"


def test_ctrl_c_at_the_prompt(board: Board) -> None:
    with Client(board.port) as c:
        c.type("nonsense\x03")
        c.wait("nonsense\r\n>>> $")
        assert c.run("print(6*7)") == "42"


def test_paste_mode(board: Board) -> None:
    with Client(board.port) as c:
        c.type("\x05")
        c.wait("paste mode; Ctrl-C to cancel, Ctrl-D to finish\r\n=== ")
        c.type("for i in range(3):\r    print(i * 111)\r\x04")
        c.wait("0\r\n111\r\n222\r\n>>> ")


def test_raw_repl(board: Board) -> None:
    with Client(board.port) as c:
        c.type("\x01")
        c.wait("raw REPL; CTRL-B to exit\r\n>")
        c.type("print(6*7)\x04")
        c.wait("OK42\r\n\x04\x04>")
        c.type("1/0\x04")
        c.wait("OK\x04Traceback .*ZeroDivisionError: divide by zero\r\n\x04>")
        c.type("\x02")
        c.wait(">>> $")


def test_input_and_stdin(board: Board) -> None:
    with Client(board.port) as c:
        c.type("input('name? ')\r")
        c.wait("\r\nname\\? $")
        c.type("Ada\r")
        c.wait("'Ada'\r\n>>> $")
        c.type("import sys; sys.stdin.read(3)\r")
        c.wait("read\\(3\\)\r\n$")
        c.type("xyz")
        c.wait("'xyz'\r\n>>> $")


@pytest.mark.parametrize("mode", ["", "\x01"])
def test_soft_reset_and_reconnect(board: Board, kind: Kind, mode: str) -> None:
    for _ in range(3):
        with client_when_let_in(board.port) as c:
            c.type(mode + "\x04")
            c.wait_end()
            assert ("MPY: soft reboot" in c.text) == kind.tells_reboot
        board.wait("MPY: soft reboot\r\n.*Started webrepl")


def test_sys_exit_and_machine_reset(board: Board) -> None:
    for line, shown in (("import sys; sys.exit()", "MPY: soft reboot"), ("import machine; machine.reset()", "")):
        with client_when_let_in(board.port) as c:
            c.type(line + "\r")
            board.wait(shown + ".*Started webrepl.*>>> ")


@pytest.mark.timeout(300)
def test_sessions_leave_nothing_behind(board: Board, kind: Kind) -> None:
    rounds = 30 if kind.emulated else 100
    memory = "import gc; gc.collect(); print(gc.mem_alloc())"

    def use() -> None:
        with client_when_let_in(board.port) as c:
            assert c.run("print(6*7)") == "42"
            c.put("file", b"x" * 1000)
            assert c.get("file") == b"x" * 1000
        board.wait("dupterm: EOF received")
        attempt_when_free(board.port)
        board.wait("dupterm: EOF received")

    use()
    descriptors, allocated = board.resources(), int(board.run(memory))
    for _ in range(rounds):
        use()
    board.wait_resources(descriptors)
    assert int(board.run(memory)) <= allocated + 1024
    for _ in range(rounds):
        use()
        with Client(board.port) as c:
            c.type("\x04")
            board.wait("MPY: soft reboot.*>>> ")
    board.wait_resources(descriptors)
    assert int(board.run(memory)) <= allocated + 1024
