# The virtual board's machine: what a program needs to restart itself, timers, and pins that lead nowhere.
# MIT license

import sys

from _board import Timer, reset

__all__ = ("Pin", "Timer", "reset", "soft_reset")


class Pin:
    """A pin that keeps what it is set to. Clients such as belay import the name as they connect."""

    IN = 1
    OUT = 3

    def __init__(self, id, mode=-1, pull=-1, *, value=0):
        self._value = value

    def value(self, *x):
        """Return the pin's state, or set it."""
        if not x:
            return self._value
        self._value = int(bool(x[0]))


def soft_reset():
    """Run boot.py and main.py again with a fresh heap, as Ctrl-D at the prompt does."""
    sys.exit()
