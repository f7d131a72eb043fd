"""Drive a virtual board: a process whose terminal is its serial console and whose current folder is its flash.

BOARDS is the table of all there are. What differs between them, tests ask of the Board object.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import tty
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
FIRMWARE = BUILD / "board" / "micropython"
TWIN = ROOT / "_webrepl_shim" / "_webrepl.py"
PASSWORD = "secret"
TIMEOUT = 10.0


class BoardError(AssertionError):
    """The board did not do what was waited for."""


@dataclass(frozen=True)
class Kind:
    """A kind of board: what it is built as, and what makes it behave as a chip does."""

    name: str
    firmware: Path = FIRMWARE
    environment: Mapping[str, str] = field(default_factory=dict)
    # Runs under QEMU, with lwIP behind QEMU's network.
    emulated: bool = False
    # Socket events come again and again, as long as there is something to read.
    level: bool = False
    # The address that the board has, and the one that it sees its clients at.
    address: str = "127.0.0.1"
    client_address: str = "127.0.0.1"
    # What a client sends comes in while a program computes; while it sleeps.
    heard_computing: bool = True
    heard_sleeping: bool = True
    # A client gets the "MPY: soft reboot" of the port's soft reset.
    tells_reboot: bool = True
    # The longest file that tests put there, in bytes: an ESP8266 takes 20 ms for each block of it, as
    # MICROPY_PY_WEBREPL_DELAY of ports/esp8266/mpconfigport.h says.
    file_size: int = 1024 * 1024
    # The longest program that tests type, in bytes: it and what it compiles to must fit the heap.
    program_size: int = 50_000
    # How many bytes the stdin ring buffer takes: an ESP32's of 260, an ESP8266's of 256, an RP2's of 512 bytes.
    ring: int = 259
    # How many TCP connections it can have; those that it has closed and the other end has not stay for 20 s:
    # MEMP_NUM_TCP_PCB and TCP_FIN_WAIT_TIMEOUT of lwIP.
    connections: int = 100
    # Its only interface is a cable, which is not asked for its address: on mimxrt and STM32, LAN() starts it anew.
    cable: bool = False
    # Is one of those that test _webrepl_shim/_webrepl.py, too: it takes heap that an ESP8266 has not, and an ESP32's
    # ticks and versions make no difference to it.
    twin: bool = True

    def rounds(self, n: int) -> int:
        """Return how often to do what a test does n times: an emulated board takes longer for it."""
        return n // 5 if self.emulated else n

    def shown(self, port: int) -> str:
        """Return what start() says it listens on."""
        return f"port {port}" if self.cable else f"http://{self.address}:{port}/"


def _esp32(name: str, *, heard_computing: bool = False, **environment: str) -> Kind:
    # Handlers are called where the port waits: ports/esp32/modsocket.c, socket_events_handler(). It prints "MPY: soft
    # reboot" when all sockets are closed: ports/esp32/main.c, mp_task().
    return Kind(
        name,
        environment=environment,
        level=True,
        heard_computing=heard_computing,
        tells_reboot=False,
        twin=name == "esp32",
    )


def _emulated(
    name: str,
    build: str,
    tells_reboot: bool = True,
    twin: bool = True,
    file_size: int = 200_000,
    program_size: int = 20_000,
    ring: int = 511,
) -> Kind:
    return Kind(
        name,
        BUILD / build / "micropython",
        emulated=True,
        address="10.0.2.15",
        client_address="10.0.2.2",
        cable=True,
        tells_reboot=tells_reboot,
        twin=twin,
        file_size=file_size,
        program_size=program_size,
        ring=ring,
        connections=5,
    )


BOARDS = {
    kind.name: kind
    for kind in (
        # MicroPython's unix port with an ESP32's socket events, but a tick of 0.1 ms: for what is not about time.
        _esp32("esp32", BOARD_TICK_MS="0"),
        # The same with an ESP32's tick of 10 ms, and before MicroPython 1.28, where only os.dupterm_notify() reads
        # what a client sends; and from 1.29 on, which has virtual timers.
        _esp32("esp32-ticks"),
        _esp32("esp32-1.27", BOARD_DUPTERM="notify"),
        _esp32("esp32-1.29", heard_computing=True, BOARD_TIMER="virtual", BOARD_TICK_MS="0"),
        # The unix port with the socket events of the lwIP ports.
        Kind("edge", environment={"BOARD_EVENTS": "edge"}),
        # Has no os.dupterm_notify(): mp_hal_stdin_rx_chr() of ports/stm32/mphalport.c is all that reads.
        Kind(
            "stm32",
            BUILD / "board-stm32" / "micropython",
            heard_computing=False,
            heard_sleeping=False,
            file_size=200_000,
        ),
        # Prints "MPY: soft reboot" when all sockets are closed: ports/esp8266/main.c, soft_reset().
        Kind(
            "esp8266",
            BUILD / "board-esp8266" / "micropython",
            tells_reboot=False,
            twin=False,
            file_size=20_000,
            program_size=2_000,
            ring=255,
        ),
        # lwIP itself, on a Cortex-M3 that QEMU emulates; and the same as near to an ESP8266 as that gets.
        _emulated("lwip", "board-lwip"),
        _emulated(
            "lwip-esp8266",
            "board-lwip-esp8266",
            tells_reboot=False,
            twin=False,
            file_size=20_000,
            program_size=2_000,
            ring=255,
        ),
        # The first with the faults of MicroPython's own cured, for races that would strike them.
        _emulated("lwip-patched", "board-lwip-patched"),
    )
}
# Those that a test runs on unless its mark says otherwise.
USUAL = ("esp32", "edge", "lwip", "lwip-esp8266")


def source_tree() -> Path:
    """Return the tree of MicroPython that the virtual board was built from."""
    if (BUILD / "micropy_dir").read_text().strip():
        return BUILD / "board" / "source"
    return max(BUILD.glob("micropython-*"))


def free_port() -> int:
    """Return a TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Board:
    """A running virtual board. Use as a context manager, which turns it off at the end."""

    def __init__(
        self,
        flash: Path,
        kind: Kind = BOARDS["esp32"],
        *,
        heap: str | None = None,
        firmware: Path | None = None,
        port: int | None = None,
    ) -> None:
        self.flash = flash
        self.kind = kind
        self.port = port or free_port()
        # One more that a test may have the board listen on.
        self.other_port = free_port()
        self.log = bytearray()
        # If it is right that it has ended.
        self.may_end = False
        self._seen = 0
        self._ended = False
        self._news = threading.Condition()
        self._console, terminal = os.openpty()
        tty.setraw(terminal)
        self.terminal_name = os.ttyname(terminal)
        options = ["-X", f"heapsize={heap}"] if heap else []
        self.process = subprocess.Popen(
            [firmware or kind.firmware, *options, "-m", "board"],
            cwd=flash,
            env={**os.environ, **kind.environment, **self._environment()},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _environment(self) -> dict[str, str]:
        """Return what this board needs in its environment, beside what its kind does."""
        return {}

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._console, 65536)
            except OSError:
                data = b""
            with self._news:
                self.log += data
                self._ended = not data
                self._news.notify_all()
            if not data:
                return

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Turn the board off."""
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            os.close(self._console)
        self._reader.join(TIMEOUT)

    def wait_end(self) -> int:
        """Wait until the board has ended, as it is to; return its exit status."""
        self.may_end = True
        return self.process.wait(TIMEOUT)

    @property
    def text(self) -> str:
        """All that the serial console has shown."""
        return self.log.decode(errors="replace")

    def type(self, keys: str | bytes) -> None:
        """Type on the serial console."""
        data = keys.encode() if isinstance(keys, str) else keys
        while data:
            data = data[os.write(self._console, data) :]

    def wait(self, pattern: str, timeout: float = TIMEOUT) -> re.Match[bytes]:
        """Wait until the serial console shows the pattern, after what was waited for before; return the match."""
        compiled = re.compile(pattern.encode(), re.DOTALL)
        deadline = time.monotonic() + timeout
        with self._news:
            while not (match := compiled.search(self.log, self._seen)):
                left = deadline - time.monotonic()
                if self._ended or left <= 0 or not self._news.wait(left):
                    shown = bytes(self.log[self._seen :]).decode(errors="replace")
                    why = "before the board ended" if self._ended else f"within {timeout} s"
                    raise BoardError(f"{pattern!r} did not come {why}; the console showed {shown!r}")
            self._seen = match.end()
            return match

    def wait_still(self) -> None:
        """Wait until nothing is printed any more, as when a program has filled all buffers and waits for its client."""
        shown = -1
        while shown != len(self.log):
            shown = len(self.log)
            time.sleep(0.3)

    def skip(self) -> None:
        """Let the next wait() see only what the console shows from now on."""
        with self._news:
            self._seen = len(self.log)

    def run(self, code: str, timeout: float = TIMEOUT) -> str:
        """Run code at the serial console, through the raw REPL; return what it printed, raise if it raised."""
        self.type(b"\x01")
        self.wait(r"raw REPL; CTRL-B to exit\r\n>", timeout)
        self.type(code.encode() + b"\x04")
        match = self.wait(r"OK(.*?)\x04(.*?)\x04>", timeout)
        self.type(b"\x02")
        self.wait(r'"help\(\)" for more information.\r\n>>> ')
        if match[2]:
            raise BoardError(match[2].decode(errors="replace"))
        return match[1].decode(errors="replace").replace("\r\n", "\n").strip()

    def wait_idle(self, timeout: float = TIMEOUT) -> None:
        """Wait until the board sleeps: it has read and done all that came."""
        deadline = time.monotonic() + timeout
        asleep = 0
        while asleep < 2:
            state = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
            asleep = asleep + 1 if state == "S" else 0
            if time.monotonic() > deadline:
                raise BoardError(f"the board is still busy after {timeout} s")

    def resources(self) -> int:
        """Return how many files and sockets the board has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def wait_resources(self, most: int, timeout: float = TIMEOUT) -> None:
        """Wait until the board has no more open than this: the end of a connection takes its time."""
        deadline = time.monotonic() + timeout
        while (found := self.resources()) > most:
            if time.monotonic() > deadline:
                raise BoardError(f"{found} files and sockets are open after {timeout} s, not {most}")
            time.sleep(0.05)

    def listens(self, port: int | None = None) -> bool:
        """Tell if the board accepts connections on the port."""
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port or self.port)) == 0

    def write(self, name: str, data: bytes | str) -> None:
        """Write a file of the flash while the board runs."""
        (self.flash / name).write_bytes(data.encode() if isinstance(data, str) else data)

    def remove(self, name: str) -> None:
        """Remove a file of the flash while the board runs."""
        (self.flash / name).unlink()


class EmulatedBoard(Board):
    """A board that QEMU emulates, behind a network that QEMU makes up."""

    def __init__(
        self,
        flash: Path,
        kind: Kind,
        *,
        heap: str | None = None,
        firmware: Path | None = None,
        port: int | None = None,
        round_trip_ms: int = 0,
        capture: Path | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._monitor = Path(self._folder.name) / "monitor"
        options = [f"-qmp unix:{self._monitor},server=on,wait=off"]
        if round_trip_ms:
            # In microseconds; it holds what comes and what goes.
            options.append(f"-object filter-buffer,id=delay,netdev=net,interval={round_trip_ms * 500}")
        if capture:
            options.append(f"-object filter-dump,id=dump,netdev=net,file={capture}")
        self._options = " ".join(options)
        super().__init__(flash, kind, heap=heap, firmware=firmware, port=port)

    def _environment(self) -> dict[str, str]:
        return {"BOARD_QEMU": self._options, "BOARD_PORT": f"{self.port} {self.other_port}"}

    def stop(self) -> None:
        """Turn the board off."""
        super().stop()
        self._folder.cleanup()

    def unplug(self) -> None:
        """Pull the network's cable out: nobody is told."""
        self._set_link(up=False)

    def plug_in(self) -> None:
        """Put the network's cable in again."""
        self._set_link(up=True)

    def _set_link(self, *, up: bool) -> None:
        """Have QEMU do so, by its machine protocol."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self._monitor))
            with monitor.makefile() as answers:
                # What it greets with.
                answers.readline()
                for command in (
                    {"execute": "qmp_capabilities"},
                    {"execute": "set_link", "arguments": {"name": "net", "up": up}},
                ):
                    monitor.sendall(json.dumps(command).encode())
                    while "return" not in (answer := json.loads(answers.readline())):
                        assert "error" not in answer, answer

    def _pcbs(self) -> tuple[int, int, int]:
        """Return how many TCP control blocks are active, waiting for their time to be over, listening."""
        counts = eval(self.run("import network; print(network.LAN().stats()[1])"))
        assert len(counts) == 3
        return counts  # type: ignore[no-any-return]

    def resources(self) -> int:
        """Return how many connections and listening sockets lwIP has."""
        active, _, listening = self._pcbs()
        return active + listening

    def listens(self, port: int | None = None) -> bool:
        """Tell if the board listens on any port; QEMU's network accepts connections to all of them."""
        return self._pcbs()[2] > 0

    def write(self, name: str, data: bytes | str) -> None:
        """Write a file through the serial console: the board would not see what changes in the folder."""
        content = data.encode() if isinstance(data, str) else data
        self.run(f"f = open({name!r}, 'wb')")
        for i in range(0, len(content), 1000):
            self.run(f"f.write({content[i : i + 1000]!r})")
        self.run("f.close()")

    def remove(self, name: str) -> None:
        """Remove a file of the flash while the board runs."""
        self.run(f"import os; os.remove({name!r})")


def boot(flash: Path, kind: Kind, **options: Any) -> Board:  # noqa: ANN401
    """Boot a board of this kind; the options are those of its class."""
    return (EmulatedBoard if kind.emulated else Board)(flash, kind, **options)


def write_flash(
    flash: Path, port: int, *, boot: str | None = None, password: str = PASSWORD, twin: bool = False
) -> None:
    """Make the flash of a board that starts WebREPL on the port when it boots, on the twin of the C module or on it."""
    flash.mkdir(parents=True, exist_ok=True)
    boot = f"import webrepl\nwebrepl.start(port={port})\n" if boot is None else boot
    if twin:
        # A file _webrepl.py would not be found: what the firmware has comes first.
        shutil.copy(TWIN, flash / "twin.py")
        boot = f"import sys\nsys.modules['_webrepl'] = __import__('twin')\n{boot}"
    (flash / "boot.py").write_text(boot)
    (flash / "webrepl_cfg.py").write_text(f"PASS = {password!r}\n")
