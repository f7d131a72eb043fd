"""Measure what webrepl.py takes of a board's flash and heap: see `make size`.

Sizes are exact, and the tests hold them to the budgets below. Those of the 32-bit board are those of a chip.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import websocket
from board import PASSWORD, ROOT, Board, BoardError, free_port, source_tree
from client import Client

BUILD = ROOT / "build"
BOARD_CODE = Path(__file__).with_name("size_board.py")
ARCHITECTURES = ("xtensa", "xtensawin", "armv6m")
MODULES = ("webrepl.py", "webrepl_setup.py")
SHIM = ROOT / "_webrepl_shim"

# The budgets, in bytes: what it takes, so that it does not grow unseen.
MPY_MAX = 7640
IMPORT_MAX = 896
PEER_HEAP_PERCENT = 51
# By how much the heap for 7 KB more of a request may be more: nothing is kept, but memory lies in pieces.
GROWTH_MAX = 1024

# What may stay of sessions that have ended, until others come: the scheduler remembers its last calls.
ENDED_MAX = 640

# How long it may take what the least heap is searched for, in s.
TIMEOUT = 2.0
# The step of the search for the least heap, how many larger ones must do, too, since that is a matter of luck near the
# limit, and its bounds.
HEAP_STEP = 64
HEAP_MORE = 6
HEAP_MIN, HEAP_MAX = 2048, 128 * 1024


@dataclasses.dataclass(frozen=True)
class Firmware:
    """A board's firmware that has been built, for words of so many bits."""

    bits: int
    folder: Path

    @property
    def program(self) -> Path:
        """What runs."""
        return self.folder / "micropython"


def firmwares(suffix: str = "") -> list[Firmware]:
    """Return those that have been built."""
    both = [Firmware(64, BUILD / f"board{suffix}"), Firmware(32, BUILD / f"board32{suffix}")]
    return [f for f in both if f.program.exists()]


def mpy(source: Path, target: Path, arch: str | None = None) -> int:
    """Compile a module as for a board, without its folder's name in it; return how many bytes it takes."""
    cross = BUILD / "board" / "mpy-cross" / "mpy-cross"
    options = [f"-march={arch}"] if arch else []
    subprocess.run([cross, "-O3", *options, "-s", source.name, "-o", target, source], check=True)
    return target.stat().st_size


def frozen(source: Path, firmware: Firmware) -> int:
    """Return how many bytes of flash the module takes when frozen: code, constants and strings that are its own."""
    tree = source_tree()
    sizes = []
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.py"
        empty.touch()
        for file in (source, empty):
            target = Path(folder) / file.with_suffix(".mpy").name
            mpy(file, target)
            freeze: list[str | Path] = [sys.executable, tree / "tools" / "mpy-tool.py", "-f"]
            freeze += [f"-mmpz-dig-size={firmware.bits // 2}"]
            freeze += ["-q", firmware.folder / "genhdr" / "qstrdefs.preprocessed.h", target]
            code = subprocess.run(freeze, check=True, capture_output=True).stdout
            # The options of the firmware's own frozen modules, as far as they change a size.
            compiled = target.with_suffix(".o")
            compile_: list[str | Path] = [
                "gcc",
                f"-m{firmware.bits}",
                "-std=gnu99",
                "-Os",
                "-xc",
                "-c",
                "-",
                "-o",
                compiled,
            ]
            compile_ += [f"-I{path}" for path in (tree / "ports" / "unix", tree, firmware.folder, SHIM / "unix")]
            compile_ += ["-DMICROPY_QSTR_EXTRA_POOL=mp_qstr_frozen_const_pool", "-DMICROPY_MODULE_FROZEN_MPY=1"]
            compile_ += ["-DMICROPY_PY_WEBREPL=1"]
            subprocess.run(compile_, input=code, check=True)
            shown = subprocess.run(["size", compiled], check=True, capture_output=True, text=True).stdout
            text, data = re.findall(r"\d+", shown.splitlines()[1])[:2]
            sizes.append(int(text) + int(data))
    return sizes[0] - sizes[1]


def make_flash(flash: Path, port: int, module: Path | None = None) -> None:
    """Make a flash whose boot.py measures the heap; module, if it is not the frozen one, goes on it as .mpy."""
    (flash / "boot.py").write_text(f"import size_board\nsize_board.run({port}, {PASSWORD!r})\n")
    mpy(BOARD_CODE, flash / "size_board.mpy")
    if module:
        mpy(module, flash / "webrepl.mpy")


def heap(firmware: Firmware, module: Path | None = None) -> dict[str, int]:
    """Return the bytes of heap in use once the module is imported, once it listens, and with a client."""
    with tempfile.TemporaryDirectory() as folder:
        flash = Path(folder)
        port = free_port()
        make_flash(flash, port, module)
        with Board(flash, port=port, firmware=firmware.program) as board:
            board.wait("LISTENING")
            with Client(port):
                (flash / "client").touch()
                numbers = board.wait(r"HEAP (\d+) (\d+) (\d+)\r")
    return {what: int(n) for what, n in zip(("imported", "listening", "client"), numbers.groups(), strict=True)}


def least_heap(firmware: Firmware, try_it: Callable[[int], None], module: Path | None = None) -> int:
    """Return the least -X heapsize on which, and on somewhat larger ones, try_it(port) does not fail."""

    def works(size: int) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            flash = Path(folder)
            port = free_port()
            # Those first two are Python here and C on a board.
            boot = f"import machine, network, webrepl\nwebrepl.start(port={port}, password={PASSWORD!r})\n"
            (flash / "boot.py").write_text(boot)
            if module:
                mpy(module, flash / "webrepl.mpy")
            with Board(flash, port=port, firmware=firmware.program, heap=str(size)) as board:
                try:
                    board.wait(">>> ", TIMEOUT)
                    try_it(port)
                except (OSError, ValueError, AssertionError, BoardError, websocket.WebSocketException):
                    return False
                return True

    low, high = HEAP_MIN, HEAP_MAX
    while high - low > HEAP_STEP:
        middle = (low + high) // 2 // HEAP_STEP * HEAP_STEP
        if works(middle):
            high = middle
        else:
            low = middle
    size = high
    while size < high + HEAP_MORE * HEAP_STEP:
        size += HEAP_STEP
        if not works(size):
            high = size + HEAP_STEP
    return high


def move_file(port: int, data: bytes = bytes(4096)) -> None:
    """Log in, run something, write a file and read it back."""
    with Client(port, timeout=TIMEOUT) as client:
        assert client.run("1+1") == "2"
        client.put("file", data)
        assert client.get("file") == data


def ask_with(header: bytes, port: int) -> None:
    """Open a WebSocket by a request with this beside the headers it needs."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock:
        sock.sendall(
            b"GET / HTTP/1.1\r\nHost: board\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + header
            + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        shown = b""
        while b"Password: " not in shown:
            part = sock.recv(4096)
            assert part
            shown += part


def build_with(module: Path) -> list[Firmware]:
    """Build firmware into which the module is frozen as webrepl, where this project's was."""
    folder = BUILD / "peer"
    folder.mkdir(exist_ok=True)
    shutil.copy(module, folder / "webrepl.py")
    manifest = (SHIM / "unix" / "manifest.py").read_text()
    manifest = manifest.replace('include("../../manifest.py")', 'module("webrepl.py", opt=3)').replace(
        'freeze("."', f'freeze("{SHIM}/unix"'
    )
    (folder / "manifest.py").write_text(manifest)
    for firmware in firmwares():
        options = ["MICROPY_FORCE_32BIT=1"] if firmware.bits == 32 else []
        subprocess.run(
            [
                "sh",
                SHIM / "build.sh",
                f"{firmware.folder.name}-peer",
                *options,
                f"FROZEN_MANIFEST={folder / 'manifest.py'}",
            ],
            check=True,
        )
    return firmwares("-peer")


def measure(files: dict[str, Path], boards: list[Firmware]) -> dict[str, int]:
    """Return all that is measured of the server whose files these are, by what it is called."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, file in files.items():
            for arch in ARCHITECTURES:
                found[f"{name}, .mpy for {arch}"] = mpy(file, Path(folder) / "out.mpy", arch)
    module = files["webrepl.py"]
    for firmware in boards:
        at = f"{firmware.bits}-bit board: "
        for name, file in files.items():
            found[f"{at}{name}, flash if frozen"] = frozen(file, firmware)
        for kind, source in (("frozen", None), (".mpy", module)):
            for what, size in heap(firmware, source).items():
                found[f"{at}heap, {kind}, {what}"] = size
            found[f"{at}least heap for a login and a file, {kind}"] = least_heap(firmware, move_file, source)
    return found


def main() -> int:
    """Print the sizes; return 1 if one is over its budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="another webrepl.py to measure beside this one")
    args = parser.parse_args()
    files = {name: ROOT / name for name in MODULES}
    if (SHIM / "_webrepl.py").exists():
        files["_webrepl_shim/_webrepl.py"] = SHIM / "_webrepl.py"
    boards = firmwares()
    ours = measure(files, boards)
    peer = {}
    if args.peer:
        peer = measure({"webrepl.py": args.peer.resolve()}, build_with(args.peer))
    broken = []
    for what, size in ours.items():
        other = f"{peer[what]:10}" if what in peer else " " * 10
        limit = None
        if what.startswith("webrepl.py, .mpy"):
            limit = MPY_MAX
        elif what == "32-bit board: heap, frozen, imported":
            limit = IMPORT_MAX
        elif "least heap" in what and "frozen" in what and what in peer:
            limit = peer[what] * (100 + PEER_HEAP_PERCENT) // 100
        print(f"{what:62} {size:8}{other if peer else ''}{f'   at most {limit}' if limit else ''}")
        if limit and size > limit:
            broken.append(f"{what}: {size} bytes, {size - limit} over its budget of {limit}")
    if not any(f.bits == 32 for f in boards):
        print("No 32-bit board: gcc cannot build for 32 bits here. Install Debian's gcc-multilib to have one.")
    print("\n".join(broken))
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
