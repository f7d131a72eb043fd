"""Use a board by Thonny's whole back-end, told what to do as its window does: thonny_backend.py PORT PASSWORD."""

import os
import subprocess
import sys
import tempfile
from typing import Any

import thonny.plugins.micropython.bare_metal_backend as backend
from thonny.common import InlineCommand, InlineResponse, ToplevelCommand, ToplevelResponse, parse_message
from thonny.common import serialize_message as serialize

port, password = sys.argv[1:]
options = {
    "port": "webrepl",
    "url": f"ws://127.0.0.1:{port}/",
    "password": password,
    "clean": False,
    "interrupt_on_connect": True,
    "cwd": "/",
    "local_rtc": True,
    "sync_time": False,
    "utc_clock": False,
}
data = bytes(range(256)) * 20

with (
    tempfile.TemporaryDirectory() as folder,
    subprocess.Popen(
        [sys.executable, "-u", backend.__file__, repr(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # It logs there.
        env={**os.environ, "THONNY_USER_DIR": folder},
    ) as process,
):
    assert process.stdin
    assert process.stdout
    requests, answers = process.stdin, process.stdout

    def answer(kind: type) -> Any:  # noqa: ANN401
        """Return the next answer of a kind, and what the program has printed until it came."""
        printed = ""
        for line in answers:
            if line.strip() == "OK":
                continue
            message: Any = parse_message(line)
            if message.event_type == "ProgramOutput":
                assert message.stream_name == "stdout", message
                printed += message.data
            if issubclass(type(message), kind):
                assert not message.get("error"), message
                return message, printed
        raise AssertionError("the back-end has ended")

    def ask(command: object) -> Any:  # noqa: ANN401
        """Send a command and return its answer."""
        requests.write(serialize(command) + "\n")
        requests.flush()
        return answer(ToplevelResponse if isinstance(command, ToplevelCommand) else InlineResponse)

    try:
        welcome, _ = answer(ToplevelResponse)
        assert "MicroPython" in welcome.welcome_text

        _, printed = ask(ToplevelCommand("execute_source", source="for i in range(3):\n    print(i, '€')\n"))
        assert printed == "0 €\r\n1 €\r\n2 €\r\n", printed

        common = {"id": "1", "node_id": "", "description": "", "include_hidden": False}
        listing, _ = ask(InlineCommand("get_dirs_children_info", paths=["/"], **common))
        assert sorted(listing["data"]["/"]) == ["boot.py", "webrepl_cfg.py"]

        shebang = {"make_shebang_scripts_executable": False}
        ask(InlineCommand("write_file", path="/new.bin", content_bytes=data, editor_id=1, **shebang, **common))
        content, _ = ask(InlineCommand("read_file", path="/new.bin", **common))
        assert content["content_bytes"] == data
    finally:
        process.kill()
