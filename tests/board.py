"""Drive a virtual board: a process whose terminal is its serial console and whose current folder is its flash."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import tty
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "build" / "board" / "micropython"
TWIN = ROOT / "_webrepl_shim" / "_webrepl.py"
PASSWORD = "secret"
TIMEOUT = 10.0


class BoardError(AssertionError):
    """The board did not do what was waited for."""


def source_tree() -> Path:
    """Return the tree of MicroPython that the virtual board was built from."""
    build = ROOT / "build"
    if (build / "micropy_dir").read_text().strip():
        return build / "board" / "source"
    return max(build.glob("micropython-*"))


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
        *,
        events: str = "level",
        heap: str | None = None,
        firmware: Path = FIRMWARE,
        port: int | None = None,
    ) -> None:
        self.flash = flash
        self.port = port or free_port()
        self.log = bytearray()
        self._seen = 0
        self._news = threading.Condition()
        self._console, terminal = os.openpty()
        tty.setraw(terminal)
        self.terminal_name = os.ttyname(terminal)
        options = ["-X", f"heapsize={heap}"] if heap else []
        self.process = subprocess.Popen(
            [firmware, *options, "-m", "board"],
            cwd=flash,
            env={**os.environ, "BOARD_EVENTS": events},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._console, 65536)
            except OSError:
                data = b""
            with self._news:
                self.log += data
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
                if left <= 0 or not self._news.wait(left):
                    shown = bytes(self.log[self._seen :]).decode(errors="replace")
                    raise BoardError(f"{pattern!r} did not come within {timeout} s; the console showed {shown!r}")
            self._seen = match.end()
            return match

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

    def descriptors(self) -> int:
        """Return how many files and sockets the board has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


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
