# The virtual board's machine: what a program needs to restart itself, and timers.
# MIT license

import sys

from _board import Timer, reset

__all__ = ("Timer", "reset", "soft_reset")


def soft_reset():
    """Run boot.py and main.py again with a fresh heap, as Ctrl-D at the prompt does."""
    sys.exit()
