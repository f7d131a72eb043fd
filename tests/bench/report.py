"""What the benchmark's measurements have in common: samples, their spread, the tables, and how far it is."""

from __future__ import annotations

import dataclasses
import os
import statistics
import time


@dataclasses.dataclass(frozen=True)
class Sample:
    """What was measured once."""

    ms: float
    # How it was found if not as the row says, such as from fewer turns.
    note: str = ""
    # TCP segments that the board sent and that it got, if the network was looked at.
    segments: tuple[float, float] | None = None


def spread(samples: list[float]) -> dict[str, float]:
    """Return the median and what half of the samples lie between."""
    if len(samples) == 1:
        samples = samples * 2
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high}


def digits(ms: float) -> str:
    """Return a time with as many digits as there is sense in."""
    return f"{ms:.4f}" if ms < 1 else f"{ms:.2f}"


def table_head(row: int, server: int, more: str) -> str:
    """Return what stands over names of rows and of servers, so wide, over what show_spread() returns, and over more."""
    return f"{'':{row}} {'server':{server}} {'ms':>10} {'':23} {more}"


def show_spread(ms: dict[str, float]) -> str:
    """Return the spread of times, for a line of a table."""
    return f"{digits(ms['median']):>10} {digits(ms['low']):>10} - {digits(ms['high']):<10}"


class Progress:
    """Says on stderr how far it is: in one line of a terminal, else in a line every few seconds."""

    _EVERY = 5.0

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0
        self._start = self._shown = time.monotonic()

    def step(self, what: str) -> None:
        """Say what of all the steps begins."""
        self._done += 1
        now = time.monotonic()
        seconds = int(now - self._start)
        line = f"{self._done}/{self._steps}  {seconds // 60}:{seconds % 60:02}  {what}"
        if os.isatty(2):
            os.write(2, f"\r\x1b[K{line}".encode())
        elif self._done == 1 or now - self._shown > self._EVERY:
            self._shown = now
            os.write(2, f"{line}\n".encode())

    def end(self) -> None:
        """Leave the terminal's line."""
        if os.isatty(2):
            os.write(2, b"\r\x1b[K")
