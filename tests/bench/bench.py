"""Measure how fast the virtual board's WebREPL is, beside the barest server that moves the same bytes.

Prints a table and writes build/bench.json: see `make bench`. Times are measured at a client that does as little as it
can, on the loopback interface. The servers take turns, each on a board booted for the turn, so that what else the
machine does is shared out among them.

Client and board share a core, where the time is the work that both do. With a core each, as with a board that is a
thing of its own, most of it is the time that a sleeping core takes to wake up: that stands in rows of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import itertools
import json
import os
import platform
import re
import shutil
import socket
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from board import FIRMWARE, PASSWORD, ROOT, TIMEOUT, free_port
from client import GET, PUT

BOARD_CODE = Path(__file__).with_name("bench_board.py")
TWIN_CODE = ROOT / "_webrepl_shim" / "_webrepl.py"
RESULT = ROOT / "build" / "bench.json"

# The client's is the first.
CORES = sorted(os.sched_getaffinity(0))

TEXT, BINARY = 1, 2
PROMPT = b">>> "
ECHO = "echo of a key"
GET_1M = "GET of 1 MiB"
KIB = 1024
MIB = 1024 * KIB
KEYS = 200
LINES = 300
# Without TCP_NODELAY each turn takes so long that fewer of them must do.
SLOW_KEYS = 20
SLOW_GET = 8 * KIB
GET_SIZES = (64 * KIB, 256 * KIB, MIB, 4 * MIB)
SESSIONS = (1, 100, 1000)
# Of so many sessions up to the one in question the median is taken.
SESSIONS_AROUND = 10
PAUSE_MS = 600

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: board\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@dataclasses.dataclass(frozen=True)
class Server:
    """A server to measure: what boots it, and what else is on its flash."""

    name: str
    boot: str
    # Its file, if it is not the one frozen into the firmware. That only changes where the code lies, not its speed.
    file: Path | None = None
    # Payload goes in WebSocket frames.
    framed: bool = True
    # Each turn waits for a delayed ACK.
    slow: bool = False
    # It has only the rows of echo and GET.
    turns_only: bool = False


START = f"webrepl.start(port=%d, password={PASSWORD!r})"
YARDSTICK = Server("yardstick", "bench_board.yardstick(%d)", framed=False)
WEBREPL = Server("webrepl", "import webrepl; " + START)
# The same on the C module's twin in Python, which is always on the flash.
TWIN = Server("webrepl, twin", "import sys; sys.modules['_webrepl'] = __import__('twin'); import webrepl; " + START)
# What the firmware's C modules cost, which no Python between them and the socket can save.
DIRECT = Server("_webrepl alone", f"bench_board.start_directly(%d, {PASSWORD!r})", turns_only=True)
NAGLE = Server("no TCP_NODELAY", "bench_board.without_nodelay(); import webrepl; " + START, slow=True)


class Board:
    """A virtual board whose console goes to a file: nothing in this process has to read along."""

    def __init__(self, server: Server) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.flash = Path(self._folder.name)
        self.framed = server.framed
        self.port = free_port()
        shutil.copy(BOARD_CODE, self.flash)
        shutil.copy(TWIN_CODE, self.flash / "twin.py")
        if server.file:
            shutil.copy(server.file, self.flash / "webrepl.py")
        # In __main__, for what is typed at the prompt.
        (self.flash / "boot.py").write_text(
            f"import bench_board\nfrom bench_board import heap, lines, pause\n{server.boot % self.port}\n"
            "print('listening')\n"
        )
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [FIRMWARE, "-m", "board"], cwd=self.flash, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.place(apart=False)
        end = time.monotonic() + TIMEOUT
        while "listening\n" not in self.console:
            if time.monotonic() > end:
                raise TimeoutError(f"The board does not listen; its console:\n{self.console}")
            time.sleep(0.01)

    def place(self, *, apart: bool) -> None:
        """Have the board run on the client's core, or on one of its own."""
        os.sched_setaffinity(self._process.pid, {CORES[-1 if apart else 0]})

    @property
    def _log(self) -> Path:
        return self.flash / "console.log"

    @property
    def console(self) -> str:
        """All that the serial console has shown."""
        return self._log.read_text(errors="replace")

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


class Link:
    """A client's connection, logged in: frames, if there are any, are read as bytes of known number."""

    def __init__(self, board: Board) -> None:
        self._framed = board.framed
        self._sock = socket.create_connection(("127.0.0.1", board.port), TIMEOUT)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # With a timeout of its own, Python would poll() before each call.
        self._sock.settimeout(None)
        timeout = struct.pack("ll", int(TIMEOUT), 0)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
        self._sock.sendall(REQUEST)
        self.until(b"Password: ")
        self.send(self.pack(PASSWORD.encode() + b"\r"))
        self.until(PROMPT)

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        with self._sock, contextlib.suppress(OSError):
            # Let the server end the session before the next begins.
            self._sock.shutdown(socket.SHUT_WR)
            while self._sock.recv(65536):
                pass

    def pack(self, payload: bytes, opcode: int = TEXT) -> bytes:
        """Return the payload as it is sent: RFC 6455 §5.2, masked with zeros."""
        if not self._framed:
            return payload
        size = len(payload)
        head = (
            struct.pack("!BB", 0x80 | opcode, 0x80 | size)
            if size < 126
            else struct.pack("!BBH", 0x80 | opcode, 0xFE, size)
        )
        return head + bytes(4) + payload

    def send(self, data: bytes) -> None:
        """Send what pack() made."""
        self._sock.sendall(data)

    def take(self, size: int) -> bytes:
        """Receive a frame of this many bytes of payload."""
        header = (4 if size > 125 else 2) if self._framed else 0
        data = self._sock.recv(header + size, socket.MSG_WAITALL)
        if len(data) != header + size:
            raise ConnectionError(f"{header + size} bytes expected, {data!r} came")
        return data[header:]

    def take_all(self, size: int) -> bytes:
        """Receive this many bytes without waking up for less."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
        data = self._sock.recv(size, socket.MSG_WAITALL)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        return data

    def until(self, end: bytes) -> bytes:
        """Receive until this ends what came."""
        data = b""
        while not data.endswith(end):
            if not (part := self._sock.recv(65536)):
                raise ConnectionError(f"{end!r} expected, the end came after {data!r}")
            data += part
        return data

    def run(self, line: str) -> str:
        """Run a line at the prompt; return the last thing it printed."""
        self.send(self.pack(line.encode() + b"\r"))
        shown = self.until(PROMPT).decode(errors="replace")
        return str(re.findall(r"[\w.]+", shown[shown.index("\r\n") :])[-1])

    def request(self, operation: int, name: str, size: int = 0) -> None:
        """Ask for a file operation and wait for the answer."""
        data = name.encode()
        self.send(self.pack(struct.pack("<2sBBQLH64s", b"WA", operation, 0, 0, size, len(data), data), BINARY))
        self.status()

    def status(self) -> None:
        """Receive an answer."""
        if (data := self.take(4)) != b"WB\0\0":
            raise ConnectionError(f"no success: {data!r}")

    def get(self, name: str, size: int) -> tuple[bytes, list[float]]:
        """Read a file of this size; return it and the times of its turns in s."""
        data = []
        ready = self.pack(b"\0", BINARY)
        self.request(GET, name)
        stamps = [time.perf_counter()]
        for left in range(size, -1, -256):
            self.send(ready)
            data.append(self.take(2 + min(left, 256)))
            stamps.append(time.perf_counter())
        self.status()
        return b"".join(piece[2:] for piece in data), [b - a for a, b in itertools.pairwise(stamps)]

    def put(self, name: str, data: bytes, chunk: int) -> None:
        """Write a file."""
        self.request(PUT, name, len(data))
        for frame in [self.pack(data[i : i + chunk], BINARY) for i in range(0, len(data), chunk)]:
            self.send(frame)
        self.status()


def measure_connect(board: Board) -> float:
    """Return the time from connect() to the prompt in ms."""
    start = time.perf_counter()
    with Link(board):
        return (time.perf_counter() - start) * 1e3


def measure_echo(board: Board, keys: int) -> float:
    """Return the median time from a key to the frame that carries it back, in ms."""
    times = []
    with Link(board) as link:
        key = link.pack(b"x")
        for _ in range(keys):
            start = time.perf_counter()
            link.send(key)
            link.take(1)
            times.append(time.perf_counter() - start)
        # Ctrl-C, for an empty line again.
        link.send(link.pack(b"\x03"))
    return statistics.median(times) * 1e3


def measure_lines(board: Board) -> float:
    """Return the time from the key that starts the program to the prompt after its last line, in ms."""
    with Link(board) as link:
        # The first time tells how many bytes there are.
        size = 0
        for _ in range(2):
            if board.framed:
                link.send(link.pack(b"lines()"))
                link.until(b")")
            start = time.perf_counter()
            link.send(link.pack(b"\r"))
            shown = link.take_all(size) if size else link.until(PROMPT)
            duration = (time.perf_counter() - start) * 1e3
            size = len(shown)
    if shown.count(b"This is line number") != LINES or not shown.endswith(PROMPT):
        raise ConnectionError(f"{LINES} lines expected, {shown!r} came")
    return duration


def measure_put(board: Board, chunk: int) -> float:
    """Return the time to write a file of 1 MiB, in ms."""
    data = os.urandom(MIB)
    with Link(board) as link:
        start = time.perf_counter()
        link.put("put", data, chunk)
        duration = (time.perf_counter() - start) * 1e3
    if (board.flash / "put").read_bytes() != data:
        raise ConnectionError("the file was written wrong")
    return duration


def measure_get(board: Board, size: int, scaled: int | None = None) -> float:
    """Return the time to read a file of this size, or, from its turns, of the size to scale to, in ms."""
    data = os.urandom(size)
    (board.flash / "get").write_bytes(data)
    with Link(board) as link:
        start = time.perf_counter()
        read, turns = link.get("get", size)
        duration = time.perf_counter() - start
    if read != data:
        raise ConnectionError("the file was read wrong")
    if scaled:
        duration += (scaled - size) / 256 * statistics.median(turns)
    return duration * 1e3


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table: how to measure it, and how if each turn takes long."""

    name: str
    measure: Callable[[Board], float]
    slowly: Callable[[Board], float] | None = None
    # Client and board have a core each.
    apart: bool = False
    has_turns: bool = False

    def run(self, server: Server, board: Board) -> float:
        """Measure it once."""
        board.place(apart=self.apart)
        return (self.slowly if self.slowly and server.slow else self.measure)(board)


def rows() -> list[Row]:
    """Return the rows of the table."""
    echo = Row(
        ECHO, lambda board: measure_echo(board, KEYS), lambda board: measure_echo(board, SLOW_KEYS), has_turns=True
    )
    get = Row(
        GET_1M, lambda board: measure_get(board, MIB), lambda board: measure_get(board, SLOW_GET, MIB), has_turns=True
    )
    return [
        echo,
        Row("connect to prompt", measure_connect),
        Row(f"print of {LINES} lines", measure_lines),
        Row("PUT of 1 MiB, chunks of 1 KiB", lambda board: measure_put(board, KIB)),
        Row("PUT of 1 MiB, chunks of 4 KiB", lambda board: measure_put(board, 4 * KIB)),
        get,
        *(
            dataclasses.replace(row, name=f"{row.name}, a core each", apart=True)
            for row in (echo, get)
            if len(CORES) > 1
        ),
    ]


def spread(samples: list[float]) -> dict[str, float]:
    """Return the median and what half of the samples lie between."""
    if len(samples) == 1:
        samples = samples * 2
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high}


def compare(servers: list[Server], repeat: int) -> tuple[dict[str, Any], str]:
    """Measure the rows for each server; return them and what the board calls itself."""
    samples: dict[str, dict[str, list[float]]] = {
        row.name: {s.name: [] for s in servers if row.has_turns or not s.turns_only} for row in rows()
    }
    banner = ""
    for i in range(repeat):
        # Nobody is always the one after the same.
        turn = i % len(servers)
        for server in servers[turn:] + servers[:turn]:
            progress(f"{server.name} {i + 1}/{repeat}")
            with Board(server) as board:
                for row in rows():
                    if server.name in samples[row.name]:
                        samples[row.name][server.name].append(row.run(server, board))
                found = re.search(r"^MicroPython .*?$", board.console, re.MULTILINE)
                banner = found[0].strip() if found else banner
    table: dict[str, dict[str, Any]] = {}
    for name, times in samples.items():
        table[name] = {}
        for server_name, values in times.items():
            # Of each repetition by itself: what slows the machine down for a while slows both down.
            ratios = [value / limit for value, limit in zip(values, times[YARDSTICK.name], strict=True)]
            table[name][server_name] = {"ms": spread(values), "ratio": spread(ratios), "samples": values}
    return table, banner


def sessions(server: Server) -> list[dict[str, float]]:
    """Return what connecting takes in ms, and the heap in use in bytes, at the first and at later sessions."""
    found = []
    with Board(server) as board:
        times: list[float] = []
        for n in range(1, SESSIONS[-1] + 1):
            start = time.perf_counter()
            with Link(board) as link:
                times.append((time.perf_counter() - start) * 1e3)
                if n in SESSIONS:
                    found.append(
                        {
                            "session": n,
                            "ms": statistics.median(times[-SESSIONS_AROUND:]),
                            "heap": int(link.run("heap()")),
                        }
                    )
            if n % 100 == 0:
                progress(f"{server.name}: session {n}")
    return found


def longest_pauses(server: Server, repeat: int) -> dict[str, dict[str, float]]:
    """Return the longest time in ms that a program on the board stood still, without and with files moving."""
    piece = os.urandom(64 * KIB)
    samples: dict[str, list[float]] = {"no transfer": [], "GET": [], "PUT": []}
    for i in range(repeat):
        progress(f"{server.name}: pauses {i + 1}/{repeat}")
        for what, values in samples.items():
            with Board(server) as board, Link(board) as link:
                (board.flash / "piece").write_bytes(piece)
                command = f"pause({PAUSE_MS})"
                link.send(link.pack(command.encode()))
                link.until(b")")
                link.send(link.pack(b"\r"))
                link.until(b"\r\n")
                end = time.monotonic() + PAUSE_MS / 1e3 / 2
                while what != "no transfer" and time.monotonic() < end:
                    if what == "GET":
                        link.get("piece", len(piece))
                    else:
                        link.put("piece", piece, 4 * KIB)
                shown = link.until(PROMPT).decode(errors="replace")
                values.append(int(re.findall(r"\d+", shown)[0]) / 1e3)
    return {what: spread(values) for what, values in samples.items()}


def growth(server: Server, repeat: int) -> dict[str, Any]:
    """Measure how cost grows with sessions and with the size of a file, and what a program on the board feels."""
    sizes: dict[int, list[float]] = {size: [] for size in GET_SIZES}
    for i in range(repeat):
        progress(f"{server.name}: GET {i + 1}/{repeat}")
        with Board(server) as board:
            for size, values in sizes.items():
                values.append(measure_get(board, size))
    return {
        "sessions": sessions(server),
        "GET": {size: spread(values) for size, values in sizes.items()},
        "longest pause": longest_pauses(server, repeat),
    }


def machine(banner: str) -> dict[str, Any]:
    """Describe what was measured on."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release()}",
        "firmware": banner,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def progress(what: str) -> None:
    """Show what is being measured, on a terminal."""
    if os.isatty(2):
        os.write(2, f"\r\x1b[K{what}".encode())


def digits(ms: float) -> str:
    """Return a time with as many digits as there is sense in."""
    return f"{ms:.4f}" if ms < 1 else f"{ms:.2f}"


def show(result: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the tables."""
    m = result["machine"]
    yield f"{m['cpu']}, {m['cores']} cores, {m['kernel']}; {m['firmware']}; {m['date']}"
    yield f"Medians of {result['repeat']} repetitions, and what half of them lie between."
    yield ""
    yield f"{'':32} {'server':20} {'ms':>10} {'':23} {'x yardstick':>12}"
    for row, servers in result["rows"].items():
        for i, (name, r) in enumerate(servers.items()):
            ms, ratio = r["ms"], r["ratio"]
            note = f"  from {SLOW_GET // KIB} KiB" if name == NAGLE.name and row.startswith(GET_1M) else ""
            yield (
                f"{row if i == 0 else '':32} {name:20} {digits(ms['median']):>10} "
                f"{digits(ms['low']):>10} - {digits(ms['high']):<10} "
                f"{ratio['median']:12.2f} ({ratio['low']:.2f} - {ratio['high']:.2f}){note}"
            )
    for name, grown in result["growth"].items():
        yield f"\n{name}, as it grows"
        for s in grown["sessions"]:
            yield f"  session {s['session']:5}: connected in {s['ms']:.3f} ms, {s['heap']} bytes of heap in use"
        for size, ms in grown["GET"].items():
            rate = int(size) / KIB / ms["median"] * 1e3
            yield f"  GET of {int(size) // KIB:5} KiB: {ms['median']:9.3f} ms, {rate:.0f} KiB/s"
        for what, ms in grown["longest pause"].items():
            yield (
                f"  longest pause of a program, {what:12} {ms['median']:9.3f} ms ({ms['low']:.3f} - {ms['high']:.3f})"
            )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="another webrepl.py to measure beside this one")
    parser.add_argument("--repeat", type=int, default=7, help="how many times to measure everything")
    args = parser.parse_args()
    os.sched_setaffinity(0, CORES[:1])
    servers = [YARDSTICK, DIRECT, WEBREPL, TWIN, NAGLE]
    if args.peer:
        servers.insert(3, dataclasses.replace(WEBREPL, name="peer", file=args.peer))
    table, banner = compare(servers, args.repeat)
    grow = [s for s in servers if s.name in (WEBREPL.name, "peer")]
    result = {
        "machine": machine(banner),
        "repeat": args.repeat,
        "rows": table,
        "growth": {s.name: growth(s, args.repeat) for s in grow},
    }
    progress("")
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print("\n".join(show(result)))


if __name__ == "__main__":
    main()
