"""Draw tests/bench/bench.svg from build/bench.json: see `make bench-plot`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

ROOT = Path(__file__).resolve().parent.parent.parent
RESULT = ROOT / "build" / "bench.json"
PICTURE = Path(__file__).resolve().with_name("bench.svg")

# Readable on white and on near black: the background is the page's.
INK = "#7d8590"
BEFORE, AFTER = "#d9822b", "#2f81d6"
PANELS = (("echo of a key", "Time from a key to its echo"), ("GET of 1 MiB", "Time to read 1 MiB from the board"))
LIMIT = "yardstick"
SERVERS = (("webrepl", "webrepl", AFTER), ("no TCP_NODELAY", "before: without\nTCP_NODELAY", BEFORE))


def show_ms(ms: float, _: object = None) -> str:
    """Return a time in the unit that a person would say it in."""
    if ms < 1:
        return f"{ms * 1000:.3g} µs"
    return f"{ms:.3g} ms" if ms < 1000 else f"{ms / 1000:.3g} s"


def draw(rows: dict[str, dict[str, dict[str, dict[str, float]]]]) -> Figure:
    """Return the figure: in a panel for each row, how far before and after are from the limit, which is a line."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    figure.get_layout_engine().set(hspace=0.12)
    figure.patch.set_alpha(0)
    for axes, (row, title) in zip(figure.subplots(len(PANELS), 1), PANELS, strict=True):
        times = {name: result["ms"]["median"] for name, result in rows[row].items()}
        limit = times[LIMIT]
        for y, (name, _, color) in enumerate(SERVERS):
            axes.plot([limit, times[name]], [y, y], color=color, linewidth=5, solid_capstyle="butt")
            axes.plot(times[name], y, "o", color=color, markersize=11)
            ratio = rows[row][name]["ratio"]["median"]
            text = f"{show_ms(times[name])}, {float(f'{ratio:.2g}'):,g} times the limit"
            # Where there is most room.
            right = ratio < 100
            offset, align, above = ((12, 0), "left", "center") if right else ((8, 9), "right", "bottom")
            axes.annotate(
                text, (times[name], y), offset, textcoords="offset points", ha=align, va=above, color=color, fontsize=10
            )
        axes.axvline(limit, color=INK, linestyle="--", linewidth=1.5)
        axes.annotate(
            f"limit: plain TCP, {show_ms(limit)}",
            (limit, 1),
            (6, -2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="left",
            va="top",
            color=INK,
            fontsize=9,
        )
        axes.set_title(title, color=INK, fontsize=11, loc="left", fontweight="bold")
        axes.set_xscale("log")
        axes.set_xlim(limit / 2, max(times[name] for name, _, _ in SERVERS) * 2)
        axes.set_ylim(-0.6, len(SERVERS) + 0.1)
        axes.set_yticks(range(len(SERVERS)), [label for _, label, _ in SERVERS])
        axes.xaxis.set_major_formatter(FuncFormatter(show_ms))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.tick_params(colors=INK, length=0, labelsize=10)
        axes.patch.set_alpha(0)
        for side, spine in axes.spines.items():
            spine.set_color(INK)
            spine.set_visible(side == "bottom")
    return figure


def main() -> None:
    """Draw the picture."""
    if not RESULT.exists():
        sys.exit("There is no build/bench.json: run make bench first.")
    # The same numbers give the same file.
    mpl.rcParams["svg.hashsalt"] = "bench"
    figure = draw(json.loads(RESULT.read_text())["rows"])
    figure.savefig(PICTURE, metadata={"Title": "WebREPL with and without TCP_NODELAY", "Date": None})
    print("Drew", PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
