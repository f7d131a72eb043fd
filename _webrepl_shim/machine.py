# The virtual board's machine: what a program needs to restart itself.
# MIT license

import sys

from _board import reset


def soft_reset():
    """Run boot.py and main.py again with a fresh heap, as Ctrl-D at the prompt does."""
    sys.exit()
