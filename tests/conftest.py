"""Fixtures: virtual boards for a test, turned off at its end, their serial consoles in the report if it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from board import Board, free_port, write_flash

# The protocol, which the C module _webrepl and its twin have in common.
TESTED_WITH_BOTH = ("test_files", "test_repl")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks."""
    config.addinivalue_line("markers", "c_module: a test of the C module _webrepl where its twin in Python differs")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have the tests of the protocol run with both implementations of _webrepl."""
    if metafunc.module.__name__ in TESTED_WITH_BOTH and "implementation" in metafunc.fixturenames:
        c_only = metafunc.definition.get_closest_marker("c_module")
        metafunc.parametrize("implementation", ["c"] if c_only else ["c", "python"], indirect=True)


@pytest.fixture
def implementation(request: pytest.FixtureRequest) -> str:
    """Return which _webrepl the boards have: "c" is the firmware's, "python" is _webrepl_shim/_webrepl.py."""
    return str(getattr(request, "param", "c"))


@pytest.fixture(params=["level", "edge"])
def events(request: pytest.FixtureRequest) -> str:
    """Return how socket events come: as on an ESP32, or as on the lwIP ports."""
    return str(request.param)


@pytest.fixture
def make_board(tmp_path: Path, request: pytest.FixtureRequest, implementation: str) -> Iterator[Callable[..., Board]]:
    """Return a function that boots a board: boot, password for write_flash(), the rest for Board."""
    boards: list[Board] = []

    def make(boot: str | None = None, *, flash: Path | None = None, password: str = "secret", **options: Any) -> Board:
        port = free_port()
        if flash is None:
            flash = tmp_path / f"flash{len(boards)}"
            write_flash(flash, port, boot=boot, password=password, twin=implementation == "python")
        board = Board(flash, port=port, **options)
        boards.append(board)
        board.wait(">>> ")
        return board

    request.node.boards = boards
    yield make
    for board in boards:
        board.stop()


@pytest.fixture
def board(make_board: Callable[..., Board], events: str) -> Board:
    """Return a board that has booted and serves WebREPL, with each kind of events in turn."""
    return make_board(events=events)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Add the consoles of the test's boards to its report."""
    report = yield
    for i, board in enumerate(getattr(item, "boards", [])):
        report.sections.append((f"serial console of board {i}", board.text[-5000:]))
    return report
