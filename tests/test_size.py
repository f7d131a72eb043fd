"""The budgets of flash and heap that make the server fit into small boards.

Runs on the unix board, with words of 32 and 64 bits, as what is measured is the same on all others.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import size
from board import ROOT, Board, free_port, write_flash
from client import Client
from size import Firmware


def cookie(n: int) -> bytes:
    """Return about n bytes of one line."""
    return b"Cookie: " + n * b"c" + b"\r\n"


def headers(n: int) -> bytes:
    """Return about n bytes of many lines."""
    return b"".join(b"X-Header-%d: %s\r\n" % (i, 80 * b"h") for i in range(n // 100))


def firmware_of(bits: int) -> Firmware:
    for firmware in size.firmwares():
        if firmware.bits == bits:
            return firmware
    pytest.skip(f"there is no {bits}-bit board: Debian's package gcc-multilib is needed to build it")


def over(found: int, budget: int) -> str:
    return f"{found} bytes, {found - budget} over the budget of {budget}"


@pytest.mark.parametrize("arch", size.ARCHITECTURES)
def test_mpy(arch: str, tmp_path: Path) -> None:
    found = size.mpy(ROOT / "webrepl.py", tmp_path / "webrepl.mpy", arch)
    assert found <= size.MPY_MAX, f"webrepl.mpy for {arch} takes {over(found, size.MPY_MAX)}"


def test_heap_of_import() -> None:
    found = size.heap(firmware_of(32))["imported"]
    assert found <= size.IMPORT_MAX, f"import webrepl, frozen, takes {over(found, size.IMPORT_MAX)}"


def test_heap_of_ended_sessions(tmp_path: Path) -> None:
    port = free_port()
    write_flash(tmp_path / "flash", port)
    used = "import gc; gc.collect(); print(gc.mem_alloc())"
    with Board(tmp_path / "flash", port=port, firmware=firmware_of(32).program) as board:
        before = int(board.run(used))
        for _ in range(20):
            with Client(port) as c:
                assert c.run("1") == "1"
            board.wait("deactivating")
        found = int(board.run(used)) - before
    assert found <= size.ENDED_MAX, f"sessions that have ended take {over(found, size.ENDED_MAX)}"


@pytest.mark.parametrize("lines", [cookie, headers])
@pytest.mark.parametrize("bits", [32, 64])
def test_heap_of_request(bits: int, lines: Callable[[int], bytes]) -> None:
    """A board that can serve a request of 1 KB can serve one of 8 KB: what is read is not kept."""
    firmware = firmware_of(bits)
    short, long = (size.least_heap(firmware, partial(size.ask_with, lines(n))) for n in (1000, 8000))
    budget = short + size.GROWTH_MAX
    assert long <= budget, f"a request of 8 KB takes a heap of {over(long, budget)}"


@pytest.mark.parametrize("bits", [32, 64])
def test_heap_of_file(bits: int) -> None:
    """A board that can move a file of 1 KiB can move one of 64 KiB."""
    firmware = firmware_of(bits)
    small, large = (size.least_heap(firmware, partial(size.move_file, data=n * b"x")) for n in (1024, 65536))
    budget = small + size.GROWTH_MAX
    assert large <= budget, f"a file of 64 KiB takes a heap of {over(large, budget)}"
