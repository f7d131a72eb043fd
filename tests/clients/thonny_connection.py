"""Use a board by Thonny's connection class alone: thonny_connection.py PORT PASSWORD."""

import sys

from thonny.plugins.micropython.webrepl_connection import WebReplConnection

port, password = sys.argv[1:]

connection = WebReplConnection(f"ws://127.0.0.1:{port}/", password)
assert connection.read_until(b">>> ", 5).endswith(b"WebREPL connected\r\n>>> ")
connection.write(b"\x01")
assert connection.read_until(b"\r\n>", 5).endswith(b"raw REPL; CTRL-B to exit\r\n>")
connection.write(b"import os\nprint(6 * 7, sorted(os.listdir()))\x04")
assert connection.read_until(b"\x04>", 5) == b"OK42 ['boot.py', 'webrepl_cfg.py']\r\n\x04\x04>"
connection.write(b"1 / 0\x04")
assert b"ZeroDivisionError" in connection.read_until(b"\x04>", 5)
connection.write(b"\x02")
connection.read_until(b">>> ", 5)
