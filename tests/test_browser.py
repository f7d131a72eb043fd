"""A browser that opens the board's address: the page, its script from another server, and back to the board.

Runs on an ESP32 with its ticks, which browsers have to wait for, and on lwIP: the two stacks that there are.
"""

from __future__ import annotations

import functools
import http.server
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from board import PASSWORD, ROOT, Board, write_flash
from client import Client
from playwright.sync_api import Browser, Page, sync_playwright

pytestmark = pytest.mark.boards("esp32-ticks", "lwip", reason="one of each stack, as slow as it is")

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENSHOT = ROOT / "build" / "browser.png"

# Stands in for the client that static_host serves. There is no body yet when the page runs it, and nothing else in it.
SCRIPT = """
document.write("<h1></h1><pre></pre>");
const terminal = document.querySelector("pre");
document.querySelector("h1").textContent = document.title + " of " + location.host;
const socket = new WebSocket("ws://" + location.host + "/");
socket.onmessage = event => { terminal.textContent += event.data; };
socket.onclose = event => { terminal.textContent += "closed: " + event.code + " " + event.reason; };
window.type = keys => socket.send(keys);
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return Debian's Chromium, installed if it is not there and root may."""
    if not CHROMIUM.exists():
        subprocess.run(["sh", ROOT / "_webrepl_shim" / "install.sh", "chromium"], check=True, timeout=100)
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser:
        yield browser


@pytest.fixture
def static_host(tmp_path: Path) -> Iterator[str]:
    """Serve the script from a server that is not the board; return the address."""
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "webrepl_content.js").write_text(SCRIPT)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def served(make_board: Callable[..., Board], static_host: str, tmp_path: Path) -> Board:
    """Return a board whose webrepl_cfg.py names the static host."""
    flash = tmp_path / "flash"
    write_flash(flash, 0, boot="")
    with (flash / "webrepl_cfg.py").open("a") as config:
        config.write(f"BASE = {static_host!r}\n")
    board = make_board(flash=flash)
    board.run(f"import webrepl; webrepl.start(port={board.port})")
    return board


class Tab:
    """A tab at the board's address, and all that its console has shown."""

    def __init__(self, browser: Browser, board: Board) -> None:
        self.complaints: list[str] = []
        self.page: Page = browser.new_page(viewport={"width": 640, "height": 360})
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.page.goto(f"http://127.0.0.1:{board.port}/")

    def wait(self, end: str) -> None:
        """Wait until the terminal in the page ends with the text."""
        self.page.wait_for_function(
            "end => document.querySelector('pre').textContent.endsWith(end)", arg=end, timeout=10_000
        )

    def type(self, keys: str) -> None:
        """Type in the terminal in the page."""
        self.page.evaluate("keys => type(keys)", keys)

    def login(self) -> None:
        """Answer the password prompt and wait for the REPL's."""
        self.wait("Password: ")
        self.type(PASSWORD + "\r")
        self.wait("\r\nWebREPL connected\r\n>>> ")


def test_session(browser: Browser, served: Board) -> None:
    tab = Tab(browser, served)
    tab.login()
    tab.type("print('6 * 7 is', 6 * 7)\r")
    tab.wait("6 * 7 is 42\r\n>>> ")
    tab.page.screenshot(path=SCREENSHOT)

    assert tab.page.title() == "WebREPL"
    assert tab.page.evaluate("document.compatMode") == "CSS1Compat", "quirks mode"
    assert tab.page.evaluate("document.characterSet") == "UTF-8"
    assert tab.complaints == []

    # Reloaded, it has the board at once, though it was connected.
    tab.page.reload()
    tab.login()
    tab.type("'again'\r")
    tab.wait("'again'\r\n'again'\r\n>>> ")
    assert tab.complaints == []

    # Closed, it leaves the board to others.
    served.skip()
    tab.page.close()
    served.wait("deactivating")
    with Client(served.port) as client:
        assert client.run("print(6 * 7)") == "42"
    assert "Traceback" not in served.text


def test_second_tab(browser: Browser, served: Board) -> None:
    first = Tab(browser, served)
    first.login()
    second = Tab(browser, served)
    second.wait("closed: 1013 WebREPL is in use")
    second.page.close()

    first.type("'still here'\r")
    first.wait("'still here'\r\n'still here'\r\n>>> ")
    first.page.close()
    assert first.complaints == second.complaints == []
    assert "Traceback" not in served.text
