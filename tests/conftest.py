"""Fixtures: virtual boards for a test, turned off at its end, their serial consoles in the report if it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from board import BOARDS, USUAL, Board, Kind, free_port, write_flash
from board import boot as boot_board

# The protocol, which the C module _webrepl and its twin have in common.
TESTED_WITH_BOTH = ("test_files", "test_repl")
# What the twin does otherwise.
TESTED_WITH_TWIN = ("test_twin",)


MARKS = (
    "boards(*kinds, reason): the kinds of board that this test runs on, if not on the usual ones of board.BOARDS",
    "fails_on(*kinds, reason): what this test shows on these boards is not as it should be",
    "twin: a test that runs with the twin in Python of the C module _webrepl, too",
    "c_module(reason): a test of the C module _webrepl where its twin in Python differs",
)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks."""
    for mark in MARKS:
        config.addinivalue_line("markers", mark)


def kinds(definition: pytest.Item) -> list[Any]:
    """Return the kinds of board that a test runs on, those on which it fails marked so."""
    mark = definition.get_closest_marker("boards")
    fails = {
        name: pytest.mark.xfail(reason=mark.kwargs["reason"])
        for mark in definition.iter_markers("fails_on")
        for name in mark.args
    }
    names = mark.args if mark else USUAL
    assert set(fails) <= set(names), f"{definition.name} does not run where it is to fail"
    return [pytest.param(name, marks=fails.get(name, ())) for name in names]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have each test run on its boards, and those of the protocol with both implementations of _webrepl."""
    if "kind" not in metafunc.fixturenames:
        return
    cases = [pytest.param("c", *case.values, marks=case.marks) for case in kinds(metafunc.definition)]
    marked = metafunc.definition.get_closest_marker
    if marked("twin") or (metafunc.module.__name__ in TESTED_WITH_BOTH and not marked("c_module")):
        cases += [
            pytest.param("python", *case.values[1:], marks=case.marks)
            for case in cases
            if BOARDS[str(case.values[1])].twin
        ]
    if metafunc.module.__name__ in TESTED_WITH_TWIN:
        cases = [pytest.param("python", *case.values[1:], marks=case.marks) for case in cases]
    if "implementation" in metafunc.fixturenames:
        metafunc.parametrize(("implementation", "kind"), cases, indirect=True)
    else:
        metafunc.parametrize("kind", kinds(metafunc.definition), indirect=True)


@pytest.fixture
def implementation(request: pytest.FixtureRequest) -> str:
    """Return which _webrepl the boards have: "c" is the firmware's, "python" is _webrepl_shim/_webrepl.py."""
    return str(getattr(request, "param", "c"))


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> Kind:
    """Return the kind of board to test with, each that the test is marked with in turn."""
    return BOARDS[request.param]


@pytest.fixture
def make_board(
    tmp_path: Path, request: pytest.FixtureRequest, implementation: str, kind: Kind
) -> Iterator[Callable[..., Board]]:
    """Return a function that boots a board: boot, password for write_flash(), the rest for Board."""
    boards: list[Board] = []

    def make(boot: str | None = None, *, flash: Path | None = None, password: str = "secret", **options: Any) -> Board:
        port = free_port()
        if flash is None:
            flash = tmp_path / f"flash{len(boards)}"
            write_flash(flash, port, boot=boot, password=password, twin=implementation == "python")
        board = boot_board(flash, options.pop("kind", kind), port=port, **options)
        boards.append(board)
        board.wait(">>> ")
        return board

    request.node.boards = boards
    yield make
    for board in boards:
        board.stop()


@pytest.fixture
def board(make_board: Callable[..., Board]) -> Board:
    """Return a board that has booted and serves WebREPL."""
    return make_board()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """Fail a test whose board has ended, as by a fault in its firmware."""
    result = yield
    for i, board in enumerate(getattr(item, "boards", [])):
        assert board.may_end or board.process.poll() is None, f"board {i} has ended"
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Add the consoles of the test's boards to its report."""
    report = yield
    for i, board in enumerate(getattr(item, "boards", [])):
        report.sections.append((f"serial console of board {i}", board.text[-5000:]))
    return report
