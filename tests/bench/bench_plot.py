"""Draw tests/bench/bench.svg from build/bench.json: see `make bench-plot`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

ROOT = Path(__file__).resolve().parent.parent.parent
RESULT = ROOT / "build" / "bench.json"
PICTURE = Path(__file__).resolve().with_name("bench.svg")

# Readable on white and on near black: the background is the page's.
INK = "#7d8590"
OURS, OTHER = "#2f81d6", "#d9822b"
LIMIT = "yardstick"
# What the server costs: a panel for each of these rows.
COSTS = (("echo of a key", "Its own cost: a key's echo"), ("GET of 1 MiB", "Its own cost: 1 MiB read from the board"))
SERVERS = {"webrepl": OURS, "peer": OTHER}


def show_ms(ms: float, _: object = None) -> str:
    """Return a time in the unit that a person would say it in."""
    if ms < 1:
        return f"{ms * 1000:.3g} µs"
    return f"{ms:.3g} ms" if ms < 1000 else f"{ms / 1000:.3g} s"


def draw_cost(axes: Axes, servers: dict[str, Any]) -> None:
    """Draw how far each server is from the limit, which is a line."""
    limit = servers[LIMIT]["ms"]["median"]
    shown = [name for name in SERVERS if name in servers][::-1]
    times = {name: servers[name]["ms"]["median"] for name in shown}
    for y, name in enumerate(shown):
        color = SERVERS[name]
        axes.plot([limit, times[name]], [y, y], color=color, linewidth=5, solid_capstyle="butt")
        axes.plot(times[name], y, "o", color=color, markersize=9)
        ratio = float(f"{servers[name]['ratio']['median']:.2g}")
        text = f"{show_ms(times[name])}, {ratio:,g} times the limit"
        # Where there is most room.
        right = times[name] > 30 * limit
        write(axes, text, (times[name], y), (-10, 8) if right else (10, 0), color, right=right)
    axes.axvline(limit, color=INK, linestyle="--", linewidth=1.5)
    write(axes, f"limit: plain TCP, {show_ms(limit)}", (limit, len(shown) - 0.3), (6, 0), INK)
    axes.set_xlim(limit / 2, max(limit * 30, *times.values()) * 2)
    axes.set_ylim(-0.6, len(shown))
    axes.set_yticks(range(len(shown)), shown)


def draw_chip(axes: Axes, rows: dict[str, dict[str, Any]]) -> None:
    """Draw each row's times side by side; a cross where there is none."""
    times = [r["ms"]["median"] for servers in rows.values() for r in servers.values() if r["ms"]]
    end = max(times) * 2
    for y, servers in enumerate(reversed(rows.values())):
        # The first above the second.
        for name, height in zip(servers, (0.17, -0.17) if len(servers) > 1 else (0.0,), strict=True):
            r, color = servers[name], SERVERS[name]
            at = r["ms"]["median"] if r["ms"] else end
            axes.plot(at, y + height, "o" if r["ms"] else "X", color=color, markersize=6)
            text = show_ms(at) if r["ms"] else ", ".join(r["ends"])
            if r["ms"] and r["ends"]:
                text += f" ({', '.join(r['ends'])} else)"
            write(axes, text, (at, y + height), (7, -1), color, size=8)
    axes.set_xlim(min(times) / 1.5, end * 8)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(range(len(rows)), list(reversed(rows)))


def write(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    offset: tuple[float, float],
    color: str,
    *,
    right: bool = False,
    size: int = 9,
) -> None:
    """Write beside a point: on its left side if right is true, so that it ends there."""
    axes.annotate(
        text,
        at,
        offset,
        textcoords="offset points",
        ha="right" if right else "left",
        va="center",
        color=color,
        fontsize=size,
    )


def finish(axes: Axes, title: str) -> None:
    """Give a panel its title and its looks."""
    axes.set_title(title, color=INK, fontsize=10, loc="left", fontweight="bold")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(show_ms))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(colors=INK, length=0, labelsize=9)
    axes.patch.set_alpha(0)
    for side, spine in axes.spines.items():
        spine.set_color(INK)
        spine.set_visible(side == "bottom")


def draw(result: dict[str, Any]) -> Figure:
    """Return the figure: what the server costs, then what comes of it on boards that are slow as chips are."""
    chips = result["chips"]
    heights = [3] * len(COSTS) + [len(table["rows"]) for table in chips.values()]
    figure = Figure(figsize=(8, 0.42 * sum(heights)), layout="constrained")
    figure.patch.set_alpha(0)
    panels = list(figure.subplots(len(heights), 1, height_ratios=heights))
    for (row, title), axes in zip(COSTS, panels[: len(COSTS)], strict=True):
        draw_cost(axes, result["rows"][row])
        finish(axes, title)
    for (setting, table), axes in zip(chips.items(), panels[len(COSTS) :], strict=True):
        draw_chip(axes, table["rows"])
        finish(axes, setting)
    names = [name for name in SERVERS if name in result["rows"][COSTS[0][0]]]
    handles = [Line2D([], [], color=SERVERS[name], marker="o", linestyle="") for name in names]
    figure.legend(handles, names, loc="outside upper right", ncols=2, frameon=False, labelcolor=INK, fontsize=9)
    return figure


def main() -> None:
    """Draw the picture."""
    if not RESULT.exists():
        sys.exit("There is no build/bench.json: run make bench first.")
    # The same numbers give the same file.
    mpl.rcParams["svg.hashsalt"] = "bench"
    figure = draw(json.loads(RESULT.read_text()))
    figure.savefig(PICTURE, metadata={"Title": "How fast WebREPL is", "Date": None})
    print("Drew", PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
