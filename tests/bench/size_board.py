# mypy: ignore-errors
"""What measures the heap on the board. Copied to the flash."""

import gc
import os
import time


def heap() -> int:
    """Return how many bytes of heap are in use."""
    gc.collect()
    return gc.mem_alloc()


def run(port: int, password: str) -> None:
    """Print the heap that webrepl takes once it is imported, once it listens, and with a client that is logged in."""
    # They are Python here and C on a board.
    import machine  # noqa: F401
    import network  # noqa: F401

    sizes = [0, 0, 0]
    before = heap()
    import webrepl

    sizes[0] = heap() - before
    webrepl.start(port=port, password=password)
    sizes[1] = heap() - before
    print("LISTENING")
    while "client" not in os.listdir():
        time.sleep_ms(10)
    sizes[2] = heap() - before
    print("HEAP", *sizes)
