"""What is typed and pasted arrives, whole and in order; what is printed does not stand still.

Runs on the usual boards; what is typed, on the virtual STM32 and ESP8266, too, as each port reads os.dupterm in its own
way.
"""

from __future__ import annotations

import contextlib
import random
import re
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import websocket
from board import USUAL, Board, Kind
from client import NARROW, Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MakeBoard = Callable[..., Board]

typed_on_all = pytest.mark.boards(*USUAL, "stm32", "esp8266", reason="each port reads os.dupterm in its own way")


def script(size: int, seed: int = 0) -> tuple[str, str]:
    """Return a program of at least so many bytes, and what it prints: something that any lost byte changes."""
    rng = random.Random(seed)
    values: list[int] = []
    lines = ["v = []\r"]
    while sum(map(len, lines)) < size:
        values.append(rng.randrange(10**9))
        lines.append(f"v.append({values[-1]})\r")
    return "".join(lines) + "print(len(v), sum(v), v[::97])\r", f"{len(values)} {sum(values)} {values[::97]}"


def split(text: str, how: str) -> list[str]:
    """Split a text into frames."""
    if how == "one frame":
        return [text]
    if how == "1000 frames":
        n = -(-len(text) // 1000)
        return [text[i : i + n] for i in range(0, len(text), n)]
    cuts = sorted(random.Random(1).sample(range(1, len(text)), 60))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@contextlib.contextmanager
def sending(c: Client, frames: list[str]) -> Iterator[None]:
    """Send frames in the background, as the board may not take them before its echo is read."""
    thread = threading.Thread(target=lambda: [c.type(frame) for frame in frames])
    thread.start()
    yield
    thread.join()


@typed_on_all
@pytest.mark.parametrize("how", ["one frame", "1000 frames", "at random"])
@pytest.mark.parametrize("mode", ["paste", "raw", "friendly"])
def test_20_kb(board: Board, kind: Kind, mode: str, how: str) -> None:
    text, printed = script(min(20_000, kind.program_size))
    start, ready, end = {
        "paste": ("\x05", "=== $", "\x04"),
        "raw": ("\x01", "raw REPL; CTRL-B to exit\r\n>", "\x04"),
        "friendly": ("", "", ""),
    }[mode]
    with Client(board.port) as c:
        c.type(start)
        c.wait(ready)
        with sending(c, split(text + end, how)):
            c.wait(re.escape(printed) + "\r\n")


@typed_on_all
def test_50_kb_as_ides_send_it(board: Board, kind: Kind) -> None:
    text, printed = script(min(50_000, kind.program_size))
    with Client(board.port) as c:
        c.type("\r\x03\x03\r\x01")
        c.wait("raw REPL; CTRL-B to exit\r\n>")
        with sending(c, [text[i : i + 255] for i in range(0, len(text), 255)] + ["\x04"]):
            c.wait("OK" + re.escape(printed) + "\r\n\x04\x04>")
        c.type("\x02")
        c.wait(">>> $")
        assert c.run("print(6*7)") == "42"


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=30))
def test_frames_of_any_sizes(board: Board, kind: Kind, seed: int, sizes: list[int]) -> None:
    text, printed = script(min(3000, kind.program_size), seed)
    frames: list[str] = []
    at = 0
    while at < len(text):
        frames.append(text[at : at + sizes[len(frames) % len(sizes)]])
        at += len(frames[-1])
    with Client(board.port) as c:
        c.type("\x01")
        c.wait("raw REPL; CTRL-B to exit\r\n>")
        with sending(c, [*frames, "\x04"]):
            c.wait("OK" + re.escape(printed) + "\r\n\x04\x04>")
        c.type("\x02")
        c.wait(">>> $")


@typed_on_all
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_characters_of_several_bytes(board: Board, size: int) -> None:
    text = "print('äß€😀' * 2)\r" * 30
    data = text.encode()
    with Client(board.port) as c:
        c.type("\x05")
        c.wait("=== $")
        for i in range(0, len(data), size):
            c.ws.send(data[i : i + size], websocket.ABNF.OPCODE_TEXT)
        # The echo has all of them, in frames that are UTF-8 each: the client would not take others.
        c.wait(re.escape("print('äß€😀' * 2)\r\n=== ") * 2)
        c.type("\x04")
        c.wait("(äß€😀äß€😀\r\n){30}")


def test_output_that_is_not_utf_8_holds_up_nothing(board: Board) -> None:
    with Client(board.port) as c:
        received = b""
        c.ws.frame_buffer.skip_utf8_validation = c.ws.cont_frame.skip_utf8_validation = True
        c.type("import sys; sys.stdout.buffer.write(b'\\xc3'); sys.stdout.buffer.write(b'\\xff' * 3); print('end')\r")
        while b"end\r\n>>> " not in received:
            received += bytes(c.ws.recv_data()[1])
        assert b"\xff\xff\xff" in received


@pytest.mark.boards("esp32", "edge", "lwip", "stm32", reason="an ESP8266 has not the heap for it")
def test_print_of_more_than_a_frame(board: Board) -> None:
    with Client(board.port) as c:
        c.type("print('x' * 70000 + '\\xe9')\r")
        c.wait("é\r\n>>> ")
        assert c.text.count("x") == 70000 + 2


# Ctrl-C


# More than the stdin ring buffer takes has to wait until it has been full for 4 s.
@pytest.mark.boards("edge", "lwip", "lwip-esp8266", "esp32-1.29", reason="they hear who computes")
@pytest.mark.parametrize("typed", [0, 120, 2000])
def test_ctrl_c_after_keys(board: Board, typed: int) -> None:
    ctrl_c_after_keys(board, "pass", typed)


@pytest.mark.boards("esp32", "lwip", reason="others that hear who computes hear who sleeps, too")
@pytest.mark.parametrize("typed", [0, 5, 120, 300, 2000])
def test_ctrl_c_after_keys_to_one_who_sleeps(board: Board, typed: int) -> None:
    ctrl_c_after_keys(board, "time.sleep(1)", typed)


def ctrl_c_after_keys(board: Board, body: str, typed: int) -> None:
    """Type so many keys, then Ctrl-C, to a program that does this without end and reads nothing."""
    with Client(board.port) as c:
        run_forever(board, c, body)
        c.type("#" * typed)
        start = time.monotonic()
        c.type("\x03")
        c.wait("KeyboardInterrupt: \r\n>>> ")
        assert time.monotonic() - start < (1 if typed < 255 else 5)
        # Of what was typed, the prompt gets no more than the ring buffer took.
        c.type("\x03print(6*7)\r")
        c.wait("42\r\n>>> ")
        assert c.text.count("#") <= board.kind.ring


def run_forever(board: Board, console: Client | Board, body: str) -> None:
    """Type a program that does this without end, and wait until it runs: before, Ctrl-C is a key like others."""
    console.type(f"import time\rexec('print(6*7)\\nwhile True: {body}')\r")
    board.wait("\r\n42\r\n")


def test_ctrl_c_while_printing_keeps_the_session(board: Board, kind: Kind) -> None:
    with Client(board.port) as c:
        for i in range(kind.rounds(30)):
            c.type(f"while True: print({'chr(233)' if i % 2 else 'chr(101)'} * {i * 10 + 1})\r\r")
            c.skip_to("\r\n" + chr(233 if i % 2 else 101))
            (c if i % 3 and kind.heard_computing else board).type("\x03")
            c.skip_to("KeyboardInterrupt: \r\n>>> ")


@pytest.mark.boards(*USUAL, "esp8266", "esp32-1.27", "esp32-1.29", reason="each goes on in its own way")
def test_ctrl_c_goes_on_reading(board: Board) -> None:
    """What follows in the same frame is not lost; nobody may call for it."""
    with Client(board.port) as c:
        run_forever(board, c, "time.sleep(1)")
        c.type("\x03print(6*7)\r")
        c.wait("KeyboardInterrupt: .*42\r\n>>> ")


def test_ctrl_c_of_the_other_console_in_the_stream_is_handed_on(board: Board) -> None:
    """It can strike in readinto(), where os.dupterm() would give up the client for it."""
    with Client(board.port) as c:
        board.run("""
import webrepl
class Struck:
    armed = False
    def read(self, size):
        if self.armed:
            webrepl._terminal.websocket = was
            raise KeyboardInterrupt
        return was.read(size)
was = webrepl._terminal.websocket
webrepl._terminal.websocket = struck = Struck()
""")
        run_forever(board, board, "struck.armed = True; time.sleep(1)")
        c.type("x")
        board.wait("KeyboardInterrupt: \r\n>>> ")
        c.type("\x03")
        assert c.run("print(6*7, webrepl._terminal.websocket is was)") == "42 True"


# Programs that read


@pytest.mark.boards(*USUAL, "stm32", reason="the lines take more than the 33 kB that an ESP8266 has free")
def test_input_and_stdin_get_everything(board: Board) -> None:
    lines = [f"line {i} " + "x" * (i % 90) for i in range(200)]
    with Client(board.port) as c:
        c.type("a = [input() for _ in range(200)]\r")
        c.wait("range\\(200\\)\\]\r\n")
        with sending(c, ["".join(line + "\r" for line in lines)]):
            c.wait("line 199.*>>> $")
        assert c.run("print(len(a), sum(map(len, a)))") == f"200 {sum(map(len, lines))}"
        c.type("import sys, time; time.sleep_ms(300); b = sys.stdin.read(8000)\r")
        c.wait("8000\\)\r\n")
        with sending(c, ["y" * 8000]):
            c.wait(">>> $")
        assert c.run("print(len(b), b.count('y'))") == "8000 8000"


@typed_on_all
def test_stdin_that_is_read_late(board: Board) -> None:
    """The ring buffer is full meanwhile, but not for long."""
    with Client(board.port) as c:
        c.type("import sys, time; time.sleep_ms(700); b = sys.stdin.read(2000)\r")
        c.wait("2000\\)\r\n")
        c.type("y" * 2000)
        c.wait(">>> $")
        assert c.run("print(b.count('y'))") == "2000"


def test_waiting_input_costs_a_program_little(make_board: MakeBoard) -> None:
    board = make_board()
    count = """
import time
def count():
    n = 0
    end = time.ticks_add(time.ticks_ms(), 400)
    while time.ticks_diff(end, time.ticks_ms()) > 0: n += 1
    return n
"""
    with Client(board.port) as c:
        c.type("\x05")
        c.wait("=== $")
        c.type(count.replace("\n", "\r") + "\x04")
        c.wait(">>> $")
        free = max(int(c.run("print(count())")) for _ in range(3))
        c.type("print('n', max(count() for _ in range(2)))\r")
        c.wait("\\)\r\n")
        c.type("#" * 1000)
        busy = int(c.wait("n (\\d+)\r\n")[1])
        # With level events the callback is called all the time.
        assert busy > free * (0.3 if board.kind.level else 0.7)


# Output


@pytest.mark.boards("esp32", "edge", "lwip", reason="QEMU's network has buffers of 4 MB, which take 15 s to fill")
def test_client_that_does_not_read_is_given_up(board: Board) -> None:
    with Client(board.port, room=NARROW) as c:
        c.type("import time\r")
        c.wait(">>> $")
        c.type("for i in range(8000): print('x' * 999)\r\r")
        board.wait("xxx\r\n")
        board.wait_still()
        start = time.monotonic()
        board.wait("WebREPL client is gone\r\n")
        # The 2 s that it gets, but for those that it took to see that the board waits.
        assert 1 < time.monotonic() - start < 3
        board.wait(">>> ", timeout=30)
        assert board.run("print(webrepl.client_s)") == "None"
        with Client(board.port) as c2:
            assert c2.run("print(6*7)") == "42"


@pytest.mark.boards("esp32", "edge", reason="QEMU's network has buffers of 4 MB, which take 15 s to fill")
def test_keys_while_a_write_waits(board: Board) -> None:
    """The callback comes in the middle of a write, and has to leave the socket alone."""
    with Client(board.port, room=65536) as c:
        c.type("for i in range(8000): print('%06d' % i + 'x' * 1016)\r\r")
        board.wait_still()
        c.type("print(6*7)\r")
        time.sleep(0.2)
        got = bytearray()
        while not got.endswith(b"\r\n42\r\n>>> "):
            got += bytes(c.ws.recv_data()[1])
        assert got.count(b"x" * 1016 + b"\r\n") == 8000
        assert "gone" not in board.text


def knock(port: int, end: threading.Event) -> None:
    """Connect again and again, for which the client is asked by a ping if it is there."""
    while not end.wait(0.05):
        with contextlib.suppress(OSError, websocket.WebSocketException), Client(port, login=False) as c:
            c.ws.recv_data()


# What is said of those who knock. It may come behind the prompt, or between two pieces of a line.
KNOCKS = re.compile(rb"Concurrent [^\n]*\n")


@pytest.mark.parametrize("knocking", [False, True])
def test_slow_reader_gets_everything(board: Board, kind: Kind, knocking: bool) -> None:
    lines = kind.rounds(1000)
    end = threading.Event()
    others = threading.Thread(target=knock, args=(board.port, end))
    with Client(board.port, room=NARROW) as c, contextlib.ExitStack() as stack:
        if knocking:
            others.start()
            stack.callback(others.join)
            stack.callback(end.set)
        c.type(f"for i in range({lines}): print('%06d' % i + 'x' * 1016)\r\r")
        got = bytearray()
        while b"x\r\n>>> " not in KNOCKS.sub(b"", got[-4000:]):
            # Steadily, but never fast; the buffers are full all the time.
            time.sleep(0.002)
            got += bytes(c.ws.recv_data()[1])
        printed = KNOCKS.sub(b"", got)
        for i in range(lines):
            assert b"%06d" % i + b"x" * 1016 + b"\r\n" in printed
        assert "gone" not in board.text
        assert ("rejected" in board.text) == knocking
