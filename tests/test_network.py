"""A network that is slow, full, torn or gone, and clients that come, knock and vanish at the wrong moment."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import itertools
import os
import random
import re
import socket
import struct
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import websocket
from board import PASSWORD, TIMEOUT, Board, EmulatedBoard, Kind, free_port
from client import GET, NARROW, PUT, REQUEST, Client, client_when_let_in, connect, file_request, frame, reset

MakeBoard = Callable[..., Board]


def send(c: Client, data: bytes) -> None:
    """Send bytes as they are."""
    assert c.ws.sock is not None
    c.ws.sock.sendall(data)


def cut(data: bytes) -> Iterator[bytes]:
    """Cut it into pieces of random sizes, up to 700 bytes."""
    sizes = random.Random(len(data))
    at = 0
    while at < len(data):
        end = at + sizes.randint(1, 700)
        yield data[at:end]
        at = end


# Far away.


@pytest.mark.boards("lwip", "lwip-esp8266", reason="those whose network has a round trip")
@pytest.mark.parametrize("milliseconds", [10, 40])
def test_all_is_whole_from_far_away(make_board: MakeBoard, milliseconds: int) -> None:
    """A login, a line, much that is printed, a paste and files both ways."""
    data = random.randbytes(8000)
    text = "".join(f"v.append({i})\r" for i in range(100))
    board = make_board(round_trip_ms=milliseconds)
    with Client(board.port) as c:
        assert c.run("print(6*7)") == "42"
        c.type("for i in range(300): print('This is line number', i)\r\r")
        shown = c.wait(r"(This is line number 0.*)>>> $")[1]
        assert shown == "".join(f"This is line number {i}\r\n" for i in range(300))
        c.put("file", data)
        assert c.get("file") == data
        c.type("v = []\r\x05" + text + "print(len(v), sum(v))\r\x04")
        c.wait(f"\n100 {sum(range(100))}\r\n>>> ")


# A client that is gone without a word, or reads nothing.

PRINTS = """
import time
def prints(seconds):
    # Print all the time; return for how long it could not, in ms.
    waited = 0
    end = time.ticks_add(time.ticks_ms(), seconds * 1000)
    while time.ticks_diff(end, time.ticks_ms()) > 0:
        since = time.ticks_ms()
        print('x' * 99)
        took = time.ticks_diff(time.ticks_ms(), since)
        if took > 100:
            waited += took
    return waited
"""


def held_up(board: Board) -> float:
    """Wait until the client is gone; return for how long the program says that it was held up, in seconds."""
    board.wait("WebREPL client is gone\r\n", timeout=20)
    return int(board.wait(r"waited (\d+)\r\n", timeout=20)[1]) / 1000


@pytest.mark.boards("lwip", "lwip-esp8266", reason="those with a cable to pull out")
def test_program_that_prints_to_a_vanished_client_is_held_up_for_3_s(board: Board) -> None:
    """Behind a dead link nothing is acknowledged, and nobody says so."""
    assert isinstance(board, EmulatedBoard)
    board.run(PRINTS)
    with Client(board.port) as c:
        c.type("print('waited', prints(5))\r")
        c.wait("xxx\r\n")
        board.unplug()
        assert 1.5 < held_up(board) < 3
        c.vanish()
    assert board.run("import webrepl; print(webrepl.client_s)") == "None"


@pytest.mark.boards("esp32", "esp32-ticks", "esp32-1.27", "esp32-1.29", "edge", "stm32", reason="the unix boards")
def test_program_that_prints_to_who_reads_nothing_is_held_up_for_3_s(board: Board) -> None:
    """On an ESP32 an attempt to write lasts a second, whatever its timeout: a tenth of that each would be 20 s."""
    board.run(PRINTS)
    with Client(board.port, room=NARROW) as c:
        c.type("print('waited', prints(5))\r")
        assert 1.5 < held_up(board) < 3
    with Client(board.port) as c:
        assert c.run("print(6*7)") == "42"


@pytest.mark.boards("lwip", reason="an ESP8266's send buffer is smaller than its memory")
@pytest.mark.parametrize(
    ("talk", "seconds"),
    [
        ("print('x' * 9000)", 3),
        # The timer sends this, and where that waits, nothing else of ours runs.
        ("for _ in range(200): print('x' * 60); time.sleep_ms(10)", 15),
    ],
    ids=["prints much", "prints now and then"],
)
def test_program_is_not_held_up_again_and_again_while_lwip_is_short_of_memory(
    make_board: MakeBoard, tmp_path: Path, talk: str, seconds: int
) -> None:
    """lwip_tcp_send() in extmod/modlwip.c waits for 10 s then, at each write, and then says that it has sent it.

    For a segment of which only a part is used when it is sent, lwIP takes as much memory as for a whole one: with one
    of those on its way, its memory is used up before the send buffer is full.
    """
    sent = tmp_path / "pcap"
    board = make_board(round_trip_ms=400, capture=sent)
    assert isinstance(board, EmulatedBoard)
    board.run(f"""
import time
def show():
    # The first is sent at once, and the second when that is acknowledged.
    print('y' * 299)
    print('z' * 299)
    time.sleep(1)
    since = time.ticks_ms()
    {talk}
    print('waited', time.ticks_diff(time.ticks_ms(), since))
""")
    with Client(board.port) as c:
        c.type("show()\r")
        board.wait("z{299}")
        end = time.monotonic() + TIMEOUT
        while b"z" * 99 not in sent.read_bytes():
            assert time.monotonic() < end
            time.sleep(0.01)
        board.unplug()
        assert 1.5 < held_up(board) < seconds
        c.vanish()
    assert board.run("import webrepl; print(webrepl.client_s)") == "None"


def with_small_buffers(do: Callable[[], None]) -> None:
    """Do something in a network of its own, whose sockets have buffers of 4 KB: network_namespaces(7), tcp(7)."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            # CLONE_NEWNET of sched.h: for this thread, and the processes that it starts.
            if libc.unshare(0x40000000):
                raise OSError(ctypes.get_errno(), "unshare")
            with socket.socket() as s:
                # SIOCSIFFLAGS of linux/sockios.h: IFF_UP.
                fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 1))
            for name in ("tcp_wmem", "tcp_rmem"):
                Path(f"/proc/sys/net/ipv4/{name}").write_text("4096 4096 4096")
            do()
        except BaseException as e:
            failed.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of its own takes root")
@pytest.mark.boards("lwip", "lwip-esp8266", reason="QEMU's network: between it and the client are 2.5 MB of buffers")
def test_client_that_stalls_behind_lwip(make_board: MakeBoard) -> None:
    """More is printed than all buffers on the way take: one that reads late has it whole, one that never does goes."""

    def stall() -> None:
        board = make_board()
        board.run(PRINTS)
        with Client(board.port) as c:
            c.type("for i in range(2000): print('%06d' % i + 'x' * 94)\r\r")
            time.sleep(1)
            c.wait("001999x{94}\r\n>>> ")
            assert re.findall(r"(\d{6})x{94}\r\n", c.text) == [f"{i:06}" for i in range(2000)]
            c.type("print('waited', prints(8))\r")
            # The buffers on the way take some more in between, which does not count.
            assert 1.5 < held_up(board) < 3

    with_small_buffers(stall)


# Frames.


def listen(c: Client, end: str) -> None:
    """Take frames in until this has come; the client sees to it that each is whole, and text UTF-8."""
    while end not in c.text:
        c.receive()


@pytest.mark.boards(
    "esp32", "esp32-ticks", "esp32-1.29", "edge", "lwip", "lwip-esp8266", reason="with and without timers"
)
def test_no_frame_is_torn(board: Board) -> None:
    """A program, its timer, and those who knock print while files are moved: each text is there once, and whole."""
    data = random.randbytes(6000)
    board.run("""
import time
from machine import Timer
ticks = 0
def tick(_):
    global ticks
    ticks += 1
    print('<tick %d %s>' % (ticks, '\\xe9' * 20))
def chatter(n):
    try:
        timer = Timer(-1)
        timer.init(period=7, mode=Timer.PERIODIC, callback=tick)
    except ValueError: timer = None
    for i in range(n):
        print('[main %d %s]' % (i, '\\u20ac' * 80))
        time.sleep_ms(1)
    if timer: timer.deinit()
    print('[the' + ' end]')
""")
    stop = threading.Event()

    def knock() -> None:
        while not stop.wait(0.02):
            with contextlib.suppress(OSError, websocket.WebSocketException), Client(board.port, login=False) as other:
                other.wait_end()

    # With little room, so that the board has to wait in the middle of a write.
    with Client(board.port, room=NARROW) as c:
        knocking = threading.Thread(target=knock)
        c.type("chatter(300)\r")
        c.wait("\r\n")
        knocking.start()
        try:
            for _ in range(6):
                c.put("file", data)
                assert c.get("file") == data
                time.sleep(0.2)
            listen(c, "[the end]")
        finally:
            stop.set()
            knocking.join()
        shown = c.text[c.text.index("chatter(300)") :]
        assert re.findall(r"\[main (\d+) €{80}\]", shown) == [str(i) for i in range(300)]
        ticks = [int(n) for n in re.findall(r"<tick (\d+) é{20}>", shown)]
        assert len(set(ticks)) == len(ticks)
        # Nothing else came but the news of those who knocked.
        rest = re.sub(r"\[main \d+ €{80}\]|<tick \d+ é{20}>|Concurrent WebREPL connection from|\S+ rejected", "", shown)
        assert not re.search(r"[<>é€x]", rest.partition("[the end]")[0])
    assert "is gone" not in board.text


@pytest.mark.boards("esp32-1.29", "edge", reason="with timers, and clients that can have small buffers")
def test_what_is_printed_while_a_write_waits_takes_no_more_than_a_segment(board: Board) -> None:
    """The rest goes to the serial console only."""
    board.run("""
import time
from machine import Timer
def talk():
    timer = Timer(-1)
    timer.init(period=5, mode=Timer.PERIODIC, callback=lambda _: print('<%s>\\n[%s]' % ('t' * 60, 'q' * 300)))
    pause = 0
    while pause < 300:
        since = time.ticks_ms()
        print('x' * 99)
        pause = time.ticks_diff(time.ticks_ms(), since)
    timer.deinit()
    print('the' + ' end')
""")
    with Client(board.port, room=NARROW) as c:
        c.type("talk()\r")
        time.sleep(1.5)
        c.wait("the end")
        board.wait("the end")
        assert board.text.count(f"<{60 * 't'}>") > c.text.count(f"<{60 * 't'}>") + 50
        assert "q" not in re.sub(r"\[q{300}\]", "", c.text)


@pytest.mark.boards("esp32", "esp32-ticks", "esp32-1.27", "esp32-1.29", "edge", "lwip", "lwip-esp8266", reason="all")
@pytest.mark.parametrize("gap", [0.002, 0.2, 2.5])
def test_put_in_torn_segments_loses_nothing(board: Board, gap: float) -> None:
    """What the C module takes for a block begins with one byte; if the next is not there yet, it must not get lost."""
    data = random.randbytes(600 if gap < 0.1 else 120)
    stream = b"".join(frame(2, data[i : i + 60]) for i in range(0, len(data), 60))
    with Client(board.port) as c:
        c.request(PUT, "file", len(data))
        assert c.status() == 0
        if gap < 0.1:
            for i in range(len(stream)):
                send(c, stream[i : i + 1])
                time.sleep(gap if i % 10 == 0 else 0)
        else:
            # After a header, after the first byte of a frame, and in its middle.
            cuts = [0, 3, 6, 7, 30, 67, 72, 73, 74, len(stream)] if gap < 1 else [0, 6, 7, 30, len(stream)]
            for a, b in itertools.pairwise(cuts):
                send(c, stream[a:b])
                time.sleep(gap)
        assert c.status() == 0
        assert c.get("file") == data


@pytest.mark.boards("esp32", "edge", "lwip", reason="with C's own parser of frames behind each")
def test_ping_with_a_payload_is_not_typed(board: Board) -> None:
    """RFC 6455 §5.5.2: it may have one, as browsers' proxies send it, between any two frames."""
    with Client(board.port) as c:
        for _ in range(3):
            send(c, frame(9, b"payload"))
            c.type("print(6")
            send(c, frame(9, b"other"))
            c.type("*7)\r")
            send(c, frame(10, b"late"))
            c.wait("print\\(6\\*7\\)\r\n42\r\n>>> $")


# Connections at the wrong moment.


# An ESP8266 has no receive buffers left in a transfer: the SYN itself is lost, and TCP's next try takes seconds.
@pytest.mark.boards("edge", "lwip", reason="their queue of events is full in a transfer")
def test_connection_made_during_a_put_is_served(board: Board) -> None:
    """At the latest when it ends, though nobody else comes and its event has been lost."""
    data = bytes(3000)
    with Client(board.port) as c:
        for _ in range(3):
            c.request(PUT, "file", len(data))
            assert c.status() == 0
            stream = b"".join(frame(2, data[i : i + 100]) for i in range(0, len(data), 100))
            with socket.socket() as other:
                for i in range(0, len(stream), 53):
                    send(c, stream[i : i + 53])
                    time.sleep(0.001)
                    if i == 530:
                        other.settimeout(TIMEOUT)
                        other.connect(("127.0.0.1", board.port))
                        other.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert c.status() == 0
                ended = time.monotonic()
                assert other.recv(15) == b"HTTP/1.1 200 OK"
                assert time.monotonic() - ended < 1


def log_in(s: socket.socket) -> None:
    """Become a client, up to the REPL's prompt."""
    s.sendall(REQUEST)
    data = b""
    while b"Password: " not in data:
        data = until(s, data)
    s.sendall(frame(1, PASSWORD.encode() + b"\r"))
    while b">>> " not in data:
        data = until(s, data)


def until(s: socket.socket, data: bytes) -> bytes:
    """Return the data with what has come since."""
    if b"in use" in data or not (more := s.recv(4096)):
        raise ConnectionError
    return data + more


STAGES: dict[str, Callable[[socket.socket], object]] = {
    "before accept()": lambda s: None,
    "in the request": lambda s: s.sendall(REQUEST[:70]),
    "after the request": lambda s: s.sendall(REQUEST),
    "at the page": lambda s: s.sendall(b"GET / HTTP/1.1\r\n\r\n"),
    "after the handshake": lambda s: (s.sendall(REQUEST), s.recv(20)),
    "at the password": lambda s: (s.sendall(REQUEST), time.sleep(0.02)),
    "logged in": log_in,
    "while it prints": lambda s: (log_in(s), s.sendall(frame(1, b"for i in range(50): print(i)\r\r")), s.recv(9)),
    "in a PUT": lambda s: (
        log_in(s),
        s.sendall(frame(2, file_request(PUT, "f", 999)) + frame(2, b"x" * 99)),
        s.recv(9),
    ),
    "in a GET": lambda s: (log_in(s), s.sendall(frame(2, file_request(GET, "boot.py")) + frame(2, b"\0")), s.recv(9)),
}


@pytest.mark.boards("lwip-patched", reason="MicroPython's own faults would strike on the other: test_board_lwip.py")
@pytest.mark.timeout(120)
def test_resets_at_every_stage(board: Board) -> None:
    """After 150 of them the board serves, and has its connections back."""
    before = board.resources()
    rng = random.Random(1)
    for i in range(150):
        with connect(board.port) as s, contextlib.suppress(OSError):
            list(STAGES.values())[i % len(STAGES)](s)
            time.sleep(rng.choice((0, 0, 0.001, 0.01)))
            reset(s)
    with client_when_let_in(board.port) as c:
        assert c.run("print(6*7)") == "42"
    board.wait_resources(before)
    assert "Traceback" not in board.text


# The serial console, meanwhile.


@pytest.mark.boards("esp32", "esp32-ticks", "esp32-1.29", "edge", reason="those whose client can have small buffers")
def test_serial_ctrl_c_while_a_write_waits(board: Board) -> None:
    """It reaches the program; the client, if it reads on in time, has all that was printed, and the session."""
    with Client(board.port, room=NARROW) as c:
        c.type("for i in range(10**6): print('%06d' % i + 'x' * 94)\r\r")
        board.wait("000050x")
        board.wait_still()
        board.type("\x03")
        time.sleep(0.2)
        c.wait("KeyboardInterrupt: \r\n>>> $")
        numbers = [int(n) for n in re.findall(r"(\d{6})x{94}\r\n", c.text)]
        assert numbers == list(range(len(numbers)))
        assert c.run("print(6*7)") == "42"
    assert "gone" not in board.text


@pytest.mark.twin
@pytest.mark.boards("esp32", "edge", reason="QEMU's serial port loses Ctrl-C in a storm of them")
def test_ctrl_c_of_the_serial_console_spares_a_transfer(make_board: Callable[..., Board], kind: Kind) -> None:
    """Nor does it when what the board reads is there in part, as it is on a slow network."""
    port = free_port()
    # While a program computes, an ESP32 looks at no socket: socket_events_handler() in ports/esp32/modsocket.c.
    step = "pass" if kind.heard_computing else "time.sleep_ms(1)"
    program = f"while True:\n try:\n  while True:\n   {step}\n except KeyboardInterrupt:\n  print('^C')\n"
    board = make_board(f"import time, webrepl\nwebrepl.start(port={port})\n")
    data = random.Random(1).randbytes(2_000_000)
    with Client(port) as c:
        board.type(f"exec({program!r})\r")
        board.wait("\r\n")
        done = threading.Event()

        def interrupt() -> None:
            while not done.wait(0.001):
                board.type("\x03")

        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            c.put("data.bin", data)
            assert c.get("data.bin") == data
            c.request(PUT, "pieces.bin", len(data) // 4)
            assert c.status() == 0
            sent = b"".join(frame(2, data[i : i + 1000]) for i in range(0, len(data) // 4, 1000))
            for piece in cut(sent):
                send(c, piece)
                time.sleep(0.001)
            assert c.status() == 0
            assert c.get("pieces.bin") == data[: len(data) // 4]
        finally:
            done.set()
            thread.join()
        board.wait("\\^C")


@pytest.mark.boards("lwip", "lwip-esp8266", reason="close() of a listening socket: extmod/modlwip.c")
def test_stop_ends_the_last_connection_that_lwip_has_room_for(board: Board) -> None:
    for _ in range(4):
        # The board ends these, and keeps them for a while: RFC 9293 §3.6.1.
        urllib.request.urlopen(f"http://127.0.0.1:{board.port}/").read()
    with Client(board.port) as c:
        board.type("webrepl.stop()\r")
        c.wait_end()
    assert board.run("print(6*7)") == "42"
