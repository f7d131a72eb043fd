"""Measure how fast WebREPL is: on a virtual board beside the barest server that moves the same bytes, and on chips.

Prints tables and writes build/bench.json: see `make bench`. Times are measured at a client that does as little as it
can, on the loopback interface. The servers take turns, each on a board booted for the turn, so that what else the
machine does is shared out among them.

What the server costs is measured on the unix port with the socket events of the lwIP ports, which come at once, and a
send buffer that is never full: an ESP32's ticks and a chip's small buffers are waited for, whatever the server does.
Client and board share a core, where the time is the work that both do. With a core each, as with a board that is a
thing of its own, most of it is the time that a sleeping core takes to wake up: that stands in rows of its own.

What a chip's network makes of it is in chips.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import hashlib
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chips
from board import FIRMWARE, PASSWORD, ROOT, TIMEOUT, free_port
from link import PROMPT, Link
from report import Progress, Sample, show_spread, spread, table_head

BOARD_CODE = Path(__file__).with_name("bench_board.py")
TWIN_CODE = ROOT / "_webrepl_shim" / "_webrepl.py"
RESULT = ROOT / "build" / "bench.json"
# Events at once, and more room than anything here sends: see above.
ENVIRONMENT = {"BOARD_EVENTS": "edge", "BOARD_SNDBUF": str(1 << 24)}

# The client's is the first.
CORES = sorted(os.sched_getaffinity(0))

ECHO = "echo of a key"
GET_1M = "GET of 1 MiB"
KIB = 1024
MIB = 1024 * KIB
KEYS = 200
LINES = 300
# Where each turn waits for something, fewer of them must do: keys, what is read of a file, and sessions.
SLOW_TURN_MS = 0.5
SLOW_KEYS = 10
SLOW_GET = 8 * KIB
SLOW_SESSION_MS = 10
CHIP_REPEAT = 3
GET_SIZES = (64 * KIB, 256 * KIB, MIB, 4 * MIB)
SESSIONS = (1, 100, 1000)
# Of so many sessions up to the one in question the median is taken.
SESSIONS_AROUND = 10
PAUSE_MS = 600


@dataclasses.dataclass(frozen=True)
class Server:
    """A server to measure: what boots it, and what else is on its flash."""

    name: str
    boot: str
    # Its file, if it is not the one frozen into the firmware. That only changes where the code lies, not its speed.
    file: Path | None = None
    # Payload goes in WebSocket frames.
    framed: bool = True
    # It has only the rows of echo and GET.
    turns_only: bool = False


START = f"webrepl.start(port=%d, password={PASSWORD!r})"
YARDSTICK = Server("yardstick", "bench_board.yardstick(%d)", framed=False)
WEBREPL = Server("webrepl", "import webrepl; " + START)
# The same on the C module's twin in Python, which is always on the flash.
TWIN = Server("webrepl, twin", "import sys; sys.modules['_webrepl'] = __import__('twin'); import webrepl; " + START)
# What the firmware's C modules cost, which no Python between them and the socket can save.
DIRECT = Server("_webrepl alone", f"bench_board.start_directly(%d, {PASSWORD!r})", turns_only=True)
NAGLE = Server("no TCP_NODELAY", "bench_board.without_nodelay(); import webrepl; " + START)


class QuietBoard:
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
                [FIRMWARE, "-m", "board"],
                cwd=self.flash,
                env={**os.environ, **ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.place(apart=False)
        end = time.monotonic() + TIMEOUT
        while "listening\n" not in self.console:
            if time.monotonic() > end:
                raise TimeoutError(f"The board does not listen; its console:\n{self.console}")
            time.sleep(0.01)

    def connect(self) -> Link:
        """Return a client that is logged in."""
        return Link(self.port, framed=self.framed)

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

    def __enter__(self) -> QuietBoard:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


def measure_connect(board: QuietBoard) -> Sample:
    """Measure the time from connect() to the prompt."""
    start = time.perf_counter()
    with board.connect() as link:
        return Sample(
            (time.perf_counter() - start) * 1e3, "asked twice, for its first event was lost" if link.nudged else ""
        )


def measure_echo(board: QuietBoard) -> Sample:
    """Measure the median time from a key to the frame that carries it back."""
    times: list[float] = []
    with board.connect() as link:
        key = link.pack(b"x")
        while len(times) < KEYS and not (len(times) == SLOW_KEYS and statistics.median(times) > SLOW_TURN_MS):
            start = time.perf_counter()
            link.send(key)
            link.take(1)
            times.append((time.perf_counter() - start) * 1e3)
        # Ctrl-C, for an empty line again.
        link.send(link.pack(b"\x03"))
    return Sample(statistics.median(times), "" if len(times) == KEYS else f"of {len(times)} keys")


def measure_lines(board: QuietBoard) -> Sample:
    """Measure the time from the key that starts the program to the prompt after its last line."""
    with board.connect() as link:
        # The first time tells how many bytes there are.
        least = 1
        for _ in range(2):
            if board.framed:
                link.send(link.pack(b"lines()"))
                link.until(b")")
            start = time.perf_counter()
            link.send(link.pack(b"\r"))
            shown = link.until(PROMPT, least)
            duration = (time.perf_counter() - start) * 1e3
            # As many frames as there are, they have more payload than headers.
            least = len(shown) // 2
    if shown.count(b"This is line number") != LINES or not shown.endswith(PROMPT):
        raise ConnectionError(f"{LINES} lines expected, {shown!r} came")
    return Sample(duration)


def measure_put(board: QuietBoard, chunk: int) -> Sample:
    """Measure the time to write a file of 1 MiB."""
    data = os.urandom(MIB)
    with board.connect() as link:
        start = time.perf_counter()
        link.put("put", data, chunk)
        duration = (time.perf_counter() - start) * 1e3
    if (board.flash / "put").read_bytes() != data:
        raise ConnectionError("the file was written wrong")
    return Sample(duration)


def measure_get(board: QuietBoard, size: int = MIB) -> Sample:
    """Measure the time to read a file of this size; of a smaller one, scaled up, if each turn takes long."""
    for part in (SLOW_GET, size):
        data = os.urandom(part)
        (board.flash / "get").write_bytes(data)
        with board.connect() as link:
            start = time.perf_counter()
            read, turns = link.get("get", part)
            duration = (time.perf_counter() - start) * 1e3
        if read != data:
            raise ConnectionError("the file was read wrong")
        turn = statistics.median(turns) * 1e3
        if turn > SLOW_TURN_MS and part < size:
            return Sample(duration + (size - part) / 256 * turn, f"from {part // KIB} KiB")
    return Sample(duration)


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table, and how to measure it."""

    name: str
    measure: Callable[[QuietBoard], Sample]
    # Client and board have a core each.
    apart: bool = False
    has_turns: bool = False

    def run(self, board: QuietBoard) -> Sample:
        """Measure it once."""
        board.place(apart=self.apart)
        return self.measure(board)


def rows() -> list[Row]:
    """Return the rows of the table."""
    echo = Row(ECHO, measure_echo, has_turns=True)
    get = Row(GET_1M, measure_get, has_turns=True)
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


def compare(servers: list[Server], repeat: int, progress: Progress) -> tuple[dict[str, Any], str]:
    """Measure the rows for each server; return them and what the board calls itself."""
    samples: dict[str, dict[str, list[Sample]]] = {
        row.name: {s.name: [] for s in servers if row.has_turns or not s.turns_only} for row in rows()
    }
    banner = ""
    for i in range(repeat):
        # Nobody is always the one after the same.
        turn = i % len(servers)
        for server in servers[turn:] + servers[:turn]:
            progress.step(f"cost: {server.name}")
            with QuietBoard(server) as board:
                for row in rows():
                    if server.name in samples[row.name]:
                        samples[row.name][server.name].append(row.run(board))
                found = re.search(r"^MicroPython .*?$", board.console, re.MULTILINE)
                banner = found[0].strip() if found else banner
    table: dict[str, dict[str, Any]] = {}
    for name, by_server in samples.items():
        table[name] = {}
        limits = [sample.ms for sample in by_server[YARDSTICK.name]]
        for server_name, measured in by_server.items():
            values = [sample.ms for sample in measured]
            # Of each repetition by itself: what slows the machine down for a while slows both down.
            ratios = [value / limit for value, limit in zip(values, limits, strict=True)]
            table[name][server_name] = {
                "ms": spread(values),
                "ratio": spread(ratios),
                "samples": values,
                "note": "; ".join(sorted({sample.note for sample in measured if sample.note})),
            }
    return table, banner


def sessions(server: Server, progress: Progress) -> list[dict[str, float]]:
    """Return what connecting takes in ms, and the heap in use in bytes, at the first and at later sessions."""
    progress.step(f"growth: {server.name}, sessions")
    found = []
    with QuietBoard(server) as board:
        times: list[float] = []
        for n in range(1, SESSIONS[-1] + 1):
            start = time.perf_counter()
            with board.connect() as link:
                times.append((time.perf_counter() - start) * 1e3)
                if n in SESSIONS:
                    found.append(
                        {
                            "session": n,
                            "ms": statistics.median(times[-SESSIONS_AROUND:]),
                            "heap": int(link.run("heap()")),
                        }
                    )
            if n in SESSIONS[1:] and statistics.median(times) > SLOW_SESSION_MS:
                break
    return found


def longest_pauses(server: Server, repeat: int, progress: Progress) -> dict[str, dict[str, float]]:
    """Return the longest time in ms that a program on the board stood still, without and with files moving."""
    piece = os.urandom(64 * KIB)
    samples: dict[str, list[float]] = {"no transfer": [], "GET": [], "PUT": []}
    for _ in range(repeat):
        progress.step(f"growth: {server.name}, pauses")
        for what, values in samples.items():
            with QuietBoard(server) as board, board.connect() as link:
                (board.flash / "piece").write_bytes(piece)
                command = f"pause({PAUSE_MS})"
                link.send(link.pack(command.encode()))
                link.until(b")")
                link.send(link.pack(b"\r"))
                link.until(b"\r\n")
                end = time.monotonic() + PAUSE_MS / 1e3 / 2
                while what != "no transfer" and (left := end - time.monotonic()) > 0:
                    if what == "GET":
                        link.get("piece", len(piece), left)
                    else:
                        link.put("piece", piece, 4 * KIB)
                shown = link.until(PROMPT).decode(errors="replace")
                values.append(int(re.findall(r"\d+", shown)[0]) / 1e3)
    return {what: spread(values) for what, values in samples.items()}


def growth(server: Server, repeat: int, progress: Progress) -> dict[str, Any]:
    """Measure how cost grows with sessions and with the size of a file, and what a program on the board feels."""
    sizes: dict[int, list[float]] = {size: [] for size in GET_SIZES}
    notes = dict.fromkeys(GET_SIZES, "")
    for _ in range(repeat):
        progress.step(f"growth: {server.name}, GET")
        with QuietBoard(server) as board:
            for size, values in sizes.items():
                sample = measure_get(board, size)
                values.append(sample.ms)
                notes[size] = notes[size] or sample.note
    return {
        "sessions": sessions(server, progress),
        "GET": {size: {**spread(values), "note": notes[size]} for size, values in sizes.items()},
        "longest pause": longest_pauses(server, repeat, progress),
    }


def machine(banner: str, peer: Path | None) -> dict[str, Any]:
    """Describe what was measured, and on what."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    qemu = subprocess.run(["qemu-system-arm", "--version"], check=True, capture_output=True, text=True).stdout
    files = {WEBREPL.name: ROOT / "webrepl.py", **({"peer": peer} if peer else {})}
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release()}",
        "qemu": qemu.splitlines()[0],
        "firmware": banner,
        "servers": {name: describe(file) for name, file in files.items()},
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def describe(file: Path) -> str:
    """Return which version of a server this is, as far as it says so, and the beginning of its SHA-256."""
    content = file.read_bytes()
    version = re.search(rb'^__version__ = "(.*)"', content, re.MULTILINE)
    return f"{version[1].decode() if version else 'no version'}, SHA-256 {hashlib.sha256(content).hexdigest()[:12]}"


def show(result: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the tables."""
    m = result["machine"]
    yield f"{m['cpu']}, {m['cores']} cores, {m['kernel']}, {m['qemu']}; {m['date']}"
    yield "; ".join(f"{name}: {version}" for name, version in m["servers"].items())
    yield ""
    yield f"What the server costs, on {m['firmware']}: medians of {result['repeat']} repetitions,"
    yield "and what half of them lie between."
    yield table_head(32, 20, f"{'x yardstick':>12}")
    for row, servers in result["rows"].items():
        for i, (name, r) in enumerate(servers.items()):
            ratio = r["ratio"]
            yield (
                f"{row if i == 0 else '':32} {name:20} {show_spread(r['ms'])} "
                f"{ratio['median']:12.2f} ({ratio['low']:.2f} - {ratio['high']:.2f})  {r['note']}"
            ).rstrip()
    for name, grown in result["growth"].items():
        yield f"\n{name}, as it grows"
        for s in grown["sessions"]:
            yield f"  session {s['session']:5}: connected in {s['ms']:.3f} ms, {s['heap']} bytes of heap in use"
        if grown["sessions"][-1]["session"] < SESSIONS[-1]:
            yield f"  no more sessions, for each takes more than {SLOW_SESSION_MS} ms"
        for size, ms in grown["GET"].items():
            rate = int(size) / KIB / ms["median"] * 1e3
            yield f"  GET of {int(size) // KIB:5} KiB: {ms['median']:9.3f} ms, {rate:.0f} KiB/s  {ms['note']}".rstrip()
        for what, ms in grown["longest pause"].items():
            yield (
                f"  longest pause of a program, {what:12} {ms['median']:9.3f} ms ({ms['low']:.3f} - {ms['high']:.3f})"
            )
    yield from chips.show(result["chips"], result["chip repeat"])


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="another webrepl.py to measure beside this one")
    parser.add_argument("--repeat", type=int, default=7, help="how many times to measure everything")
    args = parser.parse_args()
    servers = [YARDSTICK, DIRECT, WEBREPL, TWIN, NAGLE]
    if args.peer:
        servers.insert(3, dataclasses.replace(WEBREPL, name="peer", file=args.peer))
    grow = [s for s in servers if s.name in (WEBREPL.name, "peer")]
    # Their differences are larger than what chance makes of them.
    chip_repeat = min(args.repeat, CHIP_REPEAT)
    growth_steps = len(grow) * (1 + 2 * args.repeat)
    progress = Progress(args.repeat * len(servers) + growth_steps + chips.steps(len(grow), chip_repeat))
    on_chips = chips.compare(args.peer, chip_repeat, progress)
    os.sched_setaffinity(0, CORES[:1])
    table, banner = compare(servers, args.repeat, progress)
    result = {
        "machine": machine(banner, args.peer),
        "repeat": args.repeat,
        "rows": table,
        "growth": {s.name: growth(s, args.repeat, progress) for s in grow},
        "chip repeat": chip_repeat,
        "chips": on_chips,
    }
    progress.end()
    # As it is kept: JSON makes texts of numbers that are keys.
    text = json.dumps(result, indent=1)
    RESULT.write_text(text + "\n")
    print("\n".join(show(json.loads(text))))


if __name__ == "__main__":
    main()
