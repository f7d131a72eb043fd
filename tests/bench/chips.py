"""The benchmark's rows on boards that are slow as chips are: lwIP behind a network, and an ESP32 with its ticks.

lwIP's are those of an emulated board, with a round trip of its network. What goes over that is captured by QEMU while
it is timed, and counted: TCP segments that the board sends and that it gets, acknowledgements among them, up to when
the network is quiet again. An ESP32's are the virtual board's with that chip's socket events, 10 ms a tick.

An ESP32's keys are sent at random moments of its tick, as a person's. QEMU holds what comes and what goes until the
next of its own ticks, of half a round trip: lwIP's keys are each sent as soon as the last is answered, just after one,
so that an exchange takes the whole round trip.
"""

from __future__ import annotations

import dataclasses
import random
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from board import BOARDS, PASSWORD, Board, BoardError, boot, free_port
from link import PROMPT, Link, payload
from report import Progress, Sample, show_spread, spread, table_head

BOARD_CODE = Path(__file__).with_name("bench_board.py")
WEBREPL, PEER = "webrepl", "peer"

KEYS = 20
REPL_LINES = 5
LINES = 300
# A file's size, that of the one which must do where a turn takes so long, and the frames it is sent in.
FILE = 100_000
SLOW_FILE = 8192
SLOW_TURN_MS = 15
CHUNK = 1024
# What is pasted, in all; and after how long without news of it no more is to come.
PASTE = 10_000
PASTE_LINE = "n += 1  # a line of what is pasted\r"
PASTE_TIMEOUT_S = 3
# The room of a client that reads nothing, and how long a program may stand still for it until that is for ever.
ROOM = 2048
FOR_EVER_S = 15
# When the network is quiet, beside its round trip.
QUIET_S = 0.05


@dataclasses.dataclass(frozen=True)
class Setting:
    """A kind of board and the network before it."""

    name: str
    kind: str
    round_trip_ms: int = 0
    # Between an answer and the next key.
    pause_s: tuple[float, float] = (0.05, 0.06)
    # Has the row of a client that reads nothing, which takes long and has nothing to do with the round trip.
    stalls: bool = True


SETTINGS = (
    Setting("lwIP, round trip 0 ms", "lwip", pause_s=(0, 0)),
    Setting("lwIP, round trip 10 ms", "lwip", round_trip_ms=10, pause_s=(0, 0), stalls=False),
    Setting("ESP32", "esp32-ticks"),
    Setting("ESP32 before MicroPython 1.28", "esp32-1.27"),
)


class NoTime(Exception):  # noqa: N818
    """What was to be timed did not come to its end; says how it ended."""


class Capture:
    """What QEMU's filter-dump writes: https://wiki.wireshark.org/Development/LibpcapFileFormat."""

    _FILE_HEADER = 24
    _PACKET_HEADER = 16

    def __init__(self, path: Path, address: str) -> None:
        self._path = path
        self._address = bytes(map(int, address.split(".")))

    def position(self) -> int:
        """Return how much has been written."""
        return max(self._path.stat().st_size, self._FILE_HEADER)

    def segments(self, start: int) -> tuple[int, int]:
        """Return how many TCP segments the board has sent and got since the position start."""
        data = self._path.read_bytes()[start:]
        sent = got = at = 0
        while at + self._PACKET_HEADER <= len(data):
            size = int.from_bytes(data[at + 8 : at + 12], "little")
            packet = data[at + self._PACKET_HEADER :][:size]
            at += self._PACKET_HEADER + size
            # IPv4 over Ethernet, and TCP over that.
            if packet[12:14] == b"\x08\x00" and packet[23] == 6:
                sent += packet[26:30] == self._address
                got += packet[30:34] == self._address
        return sent, got


class Chip:
    """A board that has booted, with a server; what is random on it comes from a seed."""

    def __init__(self, setting: Setting, file: Path | None, seed: int) -> None:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self._flash = folder / "flash"
        self._flash.mkdir()
        self._setting = setting
        self.random = random.Random(seed)
        # An emulated board sees only the files that are there when it starts.
        self.files = {f"get{size}": self.random.randbytes(size) for size in (FILE, SLOW_FILE)}
        for name, data in self.files.items():
            (self._flash / name).write_bytes(data)
        shutil.copy(BOARD_CODE, self._flash)
        if file:
            shutil.copy(file, self._flash / "webrepl.py")
        kind = BOARDS[setting.kind]
        self.port = free_port()
        (self._flash / "boot.py").write_text(
            "import bench_board\nfrom bench_board import lines, talk\n"
            f"{'bench_board.provide_wlan()' if file else ''}\n"
            f"import webrepl\nwebrepl.start(port={self.port}, password={PASSWORD!r})\n"
        )
        self._capture = Capture(folder / "pcap", kind.address) if kind.emulated else None
        options = {"round_trip_ms": setting.round_trip_ms, "capture": folder / "pcap"} if kind.emulated else {}
        self.board: Board = boot(self._flash, kind, port=self.port, **options)
        try:
            self.board.wait(">>> ")
        except BoardError:
            self.stop()
            raise

    def stop(self) -> None:
        """Turn it off."""
        self.board.stop()
        self._folder.cleanup()

    @property
    def banner(self) -> str:
        """What it calls itself."""
        found = re.search(r"^MicroPython .*?$", self.board.text, re.MULTILINE)
        return found[0].strip() if found else ""

    def connect(self, room: int | None = None) -> Link:
        """Return a client that is logged in."""
        return Link(self.port, room=room)

    def pause(self) -> None:
        """Wait until a key is to come."""
        time.sleep(self.random.uniform(*self._setting.pause_s))

    def written(self, name: str, data: bytes) -> bool:
        """Tell if the board has written this file: an emulated one's gets into the folder a moment later."""
        end = time.monotonic() + 1
        while time.monotonic() < end:
            if (self._flash / name).exists() and (self._flash / name).read_bytes() == data:
                return True
            time.sleep(0.02)
        return False

    def watch(self) -> Watch:
        """Return what times something from now on, and counts the segments that it takes."""
        return Watch(self._capture, 2 * self._setting.round_trip_ms / 1e3 + QUIET_S)


class Watch:
    """Measures from when it is made."""

    def __init__(self, capture: Capture | None, quiet_s: float) -> None:
        self._capture = capture
        self._quiet_s = quiet_s
        self._position = 0
        if capture:
            # What came before is acknowledged by then.
            time.sleep(quiet_s)
            self._position = capture.position()
        self._start = time.perf_counter()

    def ms(self) -> float:
        """Return how long it has been."""
        return (time.perf_counter() - self._start) * 1e3

    def sample(self, ms: float, *, times: float = 1, note: str = "") -> Sample:
        """Return a sample of this time, with so many times the segments that it took."""
        if not self._capture:
            return Sample(ms, note)
        time.sleep(self._quiet_s)
        sent, got = self._capture.segments(self._position)
        return Sample(ms, note, (sent * times, got * times))


def measure_keys(chip: Chip, keys: bytes, end: bytes, count: int) -> Sample:
    """Measure the median time from the keys to the end of what answers them."""
    times = []
    with chip.connect() as link:
        frame = link.pack(keys)
        watch = chip.watch()
        for _ in range(count):
            chip.pause()
            start = time.perf_counter()
            link.send(frame)
            link.until(end)
            times.append((time.perf_counter() - start) * 1e3)
        sample = watch.sample(statistics.median(times), times=1 / count)
        # Ctrl-C, for an empty line again.
        link.send(link.pack(b"\x03"))
        link.until(PROMPT)
    return sample


def measure_lines(chip: Chip) -> Sample:
    """Measure the time from the key that starts the program to the prompt after its last line."""
    with chip.connect() as link:
        link.send(link.pack(b"lines()"))
        link.until(b")")
        watch = chip.watch()
        link.send(link.pack(b"\r"))
        shown = payload(link.until(PROMPT))
        sample = watch.sample(watch.ms())
    if (found := shown.count(b"This is line number")) != LINES:
        raise NoTime(f"{found} lines of {LINES}")
    return sample


def measure_get(chip: Chip) -> Sample:
    """Measure the time to read a file; if each turn takes long, of a smaller one, scaled up."""
    sample = Sample(0)
    for size in (SLOW_FILE, FILE):
        name = f"get{size}"
        with chip.connect() as link:
            watch = chip.watch()
            read, turns = link.get(name, size)
            slow = size < FILE and statistics.median(turns) * 1e3 > SLOW_TURN_MS
            scale = FILE / size if slow else 1
            sample = watch.sample(watch.ms() * scale, times=scale, note=f"from {size // 1024} KiB" if slow else "")
        if read != chip.files[name]:
            raise NoTime("read wrong")
        if slow:
            break
    return sample


def measure_put(chip: Chip) -> Sample:
    """Measure the time to write a file."""
    data = chip.random.randbytes(FILE)
    with chip.connect() as link:
        watch = chip.watch()
        link.put("put", data, CHUNK)
        sample = watch.sample(watch.ms())
    if not chip.written("put", data):
        raise NoTime("written wrong")
    return sample


def measure_paste(chip: Chip) -> Sample:
    """Measure the time from text pasted in paste mode, in one frame, until it has run and the prompt is there again."""
    count = PASTE // len(PASTE_LINE)
    text = "n = 0\r" + count * PASTE_LINE + "print('sum', n * 7)\r"
    with chip.connect() as link:
        link.send(link.pack(b"\x05"))
        link.until(b"=== ")
        link.set_timeout(PASTE_TIMEOUT_S)
        watch = chip.watch()
        link.send(link.pack(text.encode()))
        # Ctrl-D.
        link.send(link.pack(b"\x04"))
        try:
            shown = payload(link.until(PROMPT))
        except BlockingIOError:
            raise NoTime("cut") from None
        sample = watch.sample(watch.ms())
    if b"sum %d" % (count * 7) not in shown:
        raise NoTime("cut")
    return sample


def measure_stall(chip: Chip) -> Sample:
    """Measure the time for which a program that prints stands still because its client reads nothing."""
    with chip.connect(ROOM) as link:
        link.send(link.pack(b"talk()\r"))
        size, since = 0, time.monotonic()
        while time.monotonic() < since + FOR_EVER_S:
            if (now := len(chip.board.log)) != size:
                size, since = now, time.monotonic()
            if found := re.search(rb"went on after (\d+) ms", chip.board.log):
                return Sample(int(found[1]))
            time.sleep(0.05)
        # Or else its end would be waited for.
        chip.board.process.kill()
    raise NoTime("for ever")


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table, and how to measure it."""

    name: str
    measure: Callable[[Chip], Sample]


ROWS = (
    Row("echo of a key", lambda chip: measure_keys(chip, b"x", b"x", KEYS)),
    Row("REPL line until the prompt", lambda chip: measure_keys(chip, b"print(6*7)\r", PROMPT, REPL_LINES)),
    Row(f"print of {LINES} lines", measure_lines),
    Row(f"GET of {FILE // 1000} kB", measure_get),
    Row(f"PUT of {FILE // 1000} kB", measure_put),
    Row(f"paste of {PASTE // 1000} kB", measure_paste),
)
STALL = Row("a client reads nothing", measure_stall)


def run(setting: Setting, rows: tuple[Row, ...], file: Path | None, seed: int) -> tuple[dict[str, Sample | str], str]:
    """Measure the rows once, on one board as long as all goes well; return samples, or how it ended, and its banner."""
    found: dict[str, Sample | str] = {}
    chip: Chip | None = None
    banner = ""
    try:
        for row in rows:
            try:
                chip = chip or Chip(setting, file, seed)
                banner = chip.banner
                found[row.name] = row.measure(chip)
            except (NoTime, OSError, BoardError) as e:
                found[row.name] = str(e) if isinstance(e, NoTime) else f"failed: {type(e).__name__}"
                # Who knows what it is waiting for.
                if chip:
                    chip.stop()
                chip = None
    finally:
        if chip:
            chip.stop()
    return found, banner


def steps(servers: int, repeat: int) -> int:
    """Return how many steps compare() has."""
    return servers * sum(repeat + setting.stalls for setting in SETTINGS)


def compare(peer: Path | None, repeat: int, progress: Progress) -> dict[str, Any]:
    """Measure all rows for this server and its peer, which take turns."""
    servers: list[tuple[str, Path | None]] = [(WEBREPL, None)]
    if peer:
        servers.append((PEER, peer))
    result = {}
    for setting in SETTINGS:
        found: dict[str, dict[str, list[Sample | str]]] = {}
        banner = ""
        turns: list[tuple[int, tuple[Row, ...]]] = [(i, ROWS) for i in range(repeat)]
        if setting.stalls:
            turns.append((0, (STALL,)))
        for i, rows in turns:
            for name, file in servers if i % 2 == 0 else servers[::-1]:
                progress.step(f"{setting.name}: {name}{', ' + STALL.name if STALL in rows else ''}")
                samples, banner = run(setting, rows, file, i)
                for row, sample in samples.items():
                    found.setdefault(row, {}).setdefault(name, []).append(sample)
        result[setting.name] = {
            "board": banner,
            "rows": {row: {name: summary(by_server, name) for name, _ in servers} for row, by_server in found.items()},
        }
    return result


def summary(by_server: dict[str, list[Sample | str]], name: str) -> dict[str, Any]:
    """Return what a server's samples come to, beside those of its peer."""
    samples = [sample for sample in by_server[name] if isinstance(sample, Sample)]
    ends = [sample for sample in by_server[name] if isinstance(sample, str)]
    # Of each repetition by itself: what slows the machine down for a while slows both down.
    pairs = zip(by_server[name], by_server.get(PEER, []), strict=False)
    ratios = [a.ms / b.ms for a, b in pairs if isinstance(a, Sample) and isinstance(b, Sample)]
    segments = [sample.segments for sample in samples if sample.segments]
    return {
        "ms": spread([sample.ms for sample in samples]) if samples else None,
        "samples": [sample.ms for sample in samples],
        "ratio": spread(ratios) if ratios else None,
        "segments": [statistics.median(column) for column in zip(*segments, strict=True)] if segments else None,
        "note": "; ".join(sorted({sample.note for sample in samples if sample.note})),
        # How it ended where it took no time, and in how many repetitions.
        "ends": {end: ends.count(end) for end in ends},
    }


def show(chips: dict[str, Any], repeat: int) -> Iterator[str]:
    """Yield the lines of the tables."""
    yield ""
    yield f"On boards that are slow as chips are: medians of {repeat} repetitions; once, where a client reads nothing."
    yield f"cut: did not arrive whole. for ever: more than {FOR_EVER_S} s. Segments are those from and to the board."
    for setting, table in chips.items():
        yield f"\n{setting}; {table['board']}"
        yield table_head(28, 8, f"{'x peer':>8} {'':13} {'segments':>13}")
        for row, servers in table["rows"].items():
            for i, (name, r) in enumerate(servers.items()):
                yield f"{row if i == 0 else '':28} {name:8} {show_one(r, name)}".rstrip()


def show_one(r: dict[str, Any], name: str) -> str:
    """Return what a line of the table says of one server."""
    ends = "; ".join(f"{end} ({n} of {n + len(r['samples'])})" for end, n in r["ends"].items())
    if not r["ms"]:
        return f"{', '.join(r['ends']):>10}"
    ratio = r["ratio"] if name != PEER else None
    beside = f"{ratio['median']:8.2f} ({ratio['low']:.2f} - {ratio['high']:.2f})" if ratio else ""
    segments = " / ".join(f"{n:.3g}" if n < 100 else f"{n:.0f}" for n in r["segments"] or ())
    notes = "  ".join(filter(None, [r["note"], ends]))
    return f"{show_spread(r['ms'])} {beside:22} {segments:>13}  {notes}"
