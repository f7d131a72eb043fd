"""Use a board by belay as its README shows: belay_session.py PORT PASSWORD FOLDER."""

import sys

import belay

port, password, folder = sys.argv[1:]

try:
    belay.Device(f"ws://127.0.0.1:{port}", password="wrong")
except belay.AuthenticationError:
    pass
else:
    raise AssertionError("a wrong password gets in")

with belay.Device(f"ws://127.0.0.1:{port}", password=password) as device:
    assert device("6 * 7") == 42

    def divide(a: int, b: int) -> "list[int]":  # noqa: D103
        print("on the board")
        return [a // b, a % b]

    assert device.task(divide)(47, 5) == [9, 2]

    # The first time puts a hash function there, the second one finds that there is nothing to do.
    for _ in range(2):
        device.sync(folder)
    device("import settings")
    assert device("settings.NAME") == "café"
    assert device("open('data/numbers.bin', 'rb').read()") == bytes(range(256)) * 20
