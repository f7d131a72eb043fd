"""The client page in a browser, from the board's flash, with the board's host the only one there is."""

from __future__ import annotations

import binascii
import gzip
import http.server
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from board import PASSWORD, ROOT, TIMEOUT, Board, Kind, write_flash
from client import Client
from playwright.sync_api import (
    Browser,
    BrowserContext,
    BrowserType,
    FilePayload,
    Locator,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)
from test_browser import CHROMIUM, FLAGS

pytestmark = pytest.mark.boards("esp32", "lwip", reason="a browser takes its time; the others differ in the server")

PAGE = ROOT / "page" / "dist" / "webrepl_content.js.gz"
# A name that is no secure context, as a board's address is none, and nothing else to be found.
HOST = "board.test"
WIDE: ViewportSize = {"width": 1100, "height": 700}
# What Chromium says of its own when there is nobody at the board's port.
REFUSED = re.compile(r"error: WebSocket connection to '[^']*' failed: ")
# Two lines of "raw REPL" and "OK" would show that the terminal sees what is not for it.
UNSEEN = ("raw REPL", "\x04", "ilistdir")


@pytest.fixture(scope="module")
def chromium() -> Iterator[BrowserType]:
    """Return what starts Debian's Chromium, installed if it is not there and root may."""
    if not CHROMIUM.exists():
        subprocess.run(["sh", ROOT / "_webrepl_shim" / "install.sh", "chromium"], check=True, timeout=300)
    with sync_playwright() as playwright:
        yield playwright.chromium


def launch(chromium: BrowserType, rule: str) -> Browser:
    """Start a browser for which there is one host only."""
    rules = f"--host-resolver-rules=MAP {rule}, MAP * ~NOTFOUND"
    return chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, rules])


@pytest.fixture(scope="module")
def browser(chromium: BrowserType) -> Iterator[Browser]:
    """Return a browser that finds boards by a name, and nothing else."""
    with launch(chromium, f"{HOST} 127.0.0.1") as browser:
        yield browser


@pytest.fixture
def flash(tmp_path: Path) -> Path:
    """Return a flash that has the page."""
    flash = tmp_path / "flash"
    write_flash(flash, 0, boot="")
    with (flash / "webrepl_cfg.py").open("a") as config:
        config.write("BASE = '/'\n")
    shutil.copy(PAGE, flash)
    return flash


@pytest.fixture
def board(make_board: Callable[..., Board], flash: Path) -> Board:
    """Return a board that serves the page, after a soft reset too."""
    return start(make_board, flash)


def start(make_board: Callable[..., Board], flash: Path, **options: object) -> Board:
    """Boot a board that serves WebREPL on a port of its own."""
    board = make_board(flash=flash, **options)
    boot = f"import webrepl\nwebrepl.start(port={board.port})\n"
    board.write("boot.py", boot)
    board.run(boot)
    return board


# A program that tells for how long it was kept from its work.
PAUSES = """
import time
end = time.ticks_add(time.ticks_ms(), 5000)
last = time.ticks_ms()
longest = 0
while time.ticks_diff(end, last) > 0:
    time.sleep_ms(1)
    now = time.ticks_ms()
    longest = max(longest, time.ticks_diff(now, last))
    last = now
print("longest pause", longest, "ms")
"""


class Tab:
    """A tab with the page in it, and all that its console has shown."""

    def __init__(self, context: BrowserContext, port: int, host: str = HOST) -> None:
        self.complaints: list[str] = []
        # True if what is done at the serial console, which the terminal shows, is no fault of the page's.
        self.serial_seen = False
        self.requests: list[str] = []
        self.page: Page = context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.began = time.monotonic()
        self.page.goto(f"http://{host}:{port}/")

    def login(self, password: str = PASSWORD) -> None:
        """Give the password, and wait for the prompt and the list of files."""
        self.password(password)
        expect(self.state).to_have_text(re.compile("^Connected to"))
        self.wait(">>> ")
        self.file("boot.py").wait_for(state="attached")

    def password(self, password: str) -> None:
        """Give the password."""
        self.page.get_by_label("Password of the board").fill(password)
        self.page.keyboard.press("Enter")

    @property
    def state(self) -> Locator:
        """What is said of the connection."""
        return self.page.locator("header [role=status]")

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """Return the button of this name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def file(self, name: str) -> Locator:
        """Return the file's entry in the list."""
        return self.page.locator("#files .list .name", has_text=re.compile(f"^{re.escape(name)}(, folder)?$"))

    def menu(self, name: str, action: str) -> None:
        """Choose an action from the file's menu."""
        self.page.get_by_label(f"More for {name}", exact=True).click()
        self.dialog.get_by_role("button", name=action).click()

    @property
    def dialog(self) -> Locator:
        """The dialog that is open."""
        return self.page.locator("dialog[open]")

    def send(self, name: str, data: bytes) -> None:
        """Choose a file to be sent."""
        file: FilePayload = {"name": name, "mimeType": "application/octet-stream", "buffer": data}
        self.page.locator("#files input[type=file]").set_input_files(file)

    @property
    def jobs(self) -> Locator:
        """The files on their way."""
        return self.page.locator(".jobs li")

    @property
    def text(self) -> str:
        """What the terminal shows."""
        rows = self.page.locator(".xterm-rows > div").all_text_contents()
        return "\n".join(row.replace("\xa0", " ").rstrip() for row in rows).rstrip()

    def wait(self, text: str, timeout: float = 10.0) -> None:
        """Wait until the terminal shows the text."""
        deadline = time.monotonic() + timeout
        while text.rstrip() not in self.text:
            assert time.monotonic() < deadline, f"{text!r} did not come; the terminal shows {self.text!r}"
            time.sleep(0.02)

    def type(self, keys: str) -> None:
        """Type in the terminal."""
        self.page.locator(".xterm-helper-textarea").focus()
        self.page.keyboard.type(keys)

    def paste(self, text: str) -> None:
        """Paste in the terminal."""
        self.page.locator(".xterm-helper-textarea").evaluate(
            """(place, text) => {
                const clipboardData = new DataTransfer();
                clipboardData.setData("text/plain", text);
                place.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
            }""",
            text,
        )


@pytest.fixture
def tab(browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Return a function that opens a tab at a port; at the end no console may have shown anything."""
    tabs: list[Tab] = []
    contexts: list[BrowserContext] = []

    def make(port: int, **options: object) -> Tab:
        context = browser.new_context(**{"viewport": WIDE, "accept_downloads": True, **options})  # type: ignore[arg-type]
        contexts.append(context)
        tabs.append(Tab(context, port))
        return tabs[-1]

    yield make
    for one in tabs:
        if one.page.locator(".xterm-rows").count() and not one.serial_seen:
            assert [text for text in UNSEEN if text in one.text] == []
    for context in contexts:
        context.close()
    assert [one.complaints for one in tabs] == [[] for _ in tabs]


def wait_for(condition: Callable[[], bool], what: str, timeout: float = 10.0) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.mark.boards("esp32", "esp32-1.27", "edge", "lwip", "lwip-esp8266", reason="all there are")
def test_loads(kind: Kind, make_board: Callable[..., Board], flash: Path, tab: Callable[..., Tab]) -> None:
    """The page is there within 3 s on an ESP32, and within 2 s with lwIP at a round trip of 10 ms."""
    board = start(make_board, flash, **({"round_trip_ms": 10} if kind.emulated else {}))
    # An ESP32 looks at its sockets for the first time 2.56 s after it was turned on.
    with urllib.request.urlopen(f"http://127.0.0.1:{board.port}/", timeout=TIMEOUT) as answer:
        assert PAGE.stem.encode() in answer.read()
    t = tab(board.port)
    t.page.get_by_label("Password of the board").wait_for()
    seconds = time.monotonic() - t.began
    print(f"{kind.name}: {seconds:.2f} s")
    assert seconds < (2 if kind.name == "lwip" else 3)
    assert t.page.evaluate("isSecureContext") is False
    t.login()
    assert {url.split("/")[2] for url in t.requests if not url.startswith("data:")} == {f"{HOST}:{board.port}"}
    assert "Traceback" not in board.text


def test_terminal(board: Board, tab: Callable[..., Tab]) -> None:
    t = tab(board.port)
    t.login()
    t.type("print('6 * 7 is', 6 * 7)\n")
    t.wait("6 * 7 is 42\n>>>")
    # Tab completes, Ctrl-C stops.
    t.type("impor")
    t.page.keyboard.press("Tab")
    t.wait(">>> import")
    t.page.keyboard.press("Control+c")
    t.type("import time\nwhile True: time.sleep(0.01)\n\n")
    t.wait("while True: time")
    t.page.keyboard.press("Control+c")
    t.wait("KeyboardInterrupt:")
    # Colours.
    t.type("print('\\x1b[31mred')\n")
    t.wait("\nred")
    assert t.page.locator(".xterm-fg-1").count() > 0


def test_wrong_password(board: Board, tab: Callable[..., Tab]) -> None:
    t = tab(board.port)
    t.password("wrong")
    expect(t.page.get_by_role("alert")).to_have_text("Wrong password.")
    expect(t.page.get_by_label("Password of the board")).to_be_focused()
    expect(t.page.get_by_label("Password of the board")).to_have_value("")
    t.login()


def test_second_tab(board: Board, tab: Callable[..., Tab]) -> None:
    first = tab(board.port)
    first.login()
    second = tab(board.port)
    second.password(PASSWORD)
    expect(second.page.get_by_role("alert")).to_have_text("The board says: WebREPL is in use.")
    first.type("'still here'\n")
    first.wait("'still here'\n'still here'\n>>>")
    first.button("Disconnect").click()
    expect(first.state).to_have_text("Disconnected")
    second.page.keyboard.press("Enter")
    expect(second.state).to_have_text(re.compile("^Connected to"))
    second.wait(">>> ")


def test_reload(board: Board, tab: Callable[..., Tab]) -> None:
    t = tab(board.port)
    t.login()
    t.page.reload()
    t.login()


def test_without_the_file(board: Board, browser: Browser) -> None:
    board.remove(PAGE.name)
    page = browser.new_page()
    page.goto(f"http://{HOST}:{board.port}/")
    expect(page.locator("body")).to_contain_text("webrepl_content.js.gz")
    expect(page.locator("body")).to_contain_text("BASE")
    page.close()


def test_damaged_file(make_board: Callable[..., Board], flash: Path, browser: Browser) -> None:
    data = bytearray(PAGE.read_bytes())
    data[50_000] ^= 1
    (flash / PAGE.name).write_bytes(data)
    board = start(make_board, flash)
    page = browser.new_page()
    page.goto(f"http://{HOST}:{board.port}/")
    expect(page.locator("html")).to_contain_text("damaged")
    page.close()


def test_paste(board: Board, tab: Callable[..., Tab]) -> None:
    t = tab(board.port)
    t.login()
    t.type("import sys, binascii; text = sys.stdin.read(20000); print(hex(binascii.crc32(text.encode())))\n")
    lines = [f"{i:05d} {'x' * 73}" for i in range(250)]
    text = "\n".join(lines) + "\n"
    assert len(text) == 20_000
    expect(t.page.get_by_text("A program is running")).to_have_count(0)
    t.wait("print(hex")
    t.paste(text)
    t.wait(hex(binascii.crc32(text.encode())), 30)


@pytest.mark.parametrize("how", ["As they are", "In paste mode"])
def test_paste_of_lines(how: str, board: Board, tab: Callable[..., Tab]) -> None:
    t = tab(board.port)
    t.login()
    t.paste("a = 6\r\nb = 7\nprint('product', a * b)\n")
    expect(t.dialog).to_contain_text("Paste 3 lines?")
    t.dialog.get_by_role("button", name=how).click()
    t.wait("\nproduct 42\n>>>")
    assert ("paste mode; Ctrl-C to cancel" in t.text) == (how == "In paste mode")
    # What the dialog refuses is not sent.
    t.paste("print('never')\nprint('ever')\n")
    t.dialog.get_by_role("button", name="Cancel").click()
    t.paste("print('one ' + 'line')\n")
    t.wait("\none line\n>>>")
    assert "never" not in t.text


@pytest.mark.boards("esp32", "lwip", "lwip-esp8266", reason="the least memory, too")
def test_files(board: Board, flash: Path, tab: Callable[..., Tab]) -> None:
    t = tab(board.port)
    t.login()
    data = bytes(i * i % 251 for i in range(300_000))
    t.send("data.bin", data)
    # An ESP8266 writes 25 KB/s.
    t.file("data.bin").wait_for(timeout=40_000)
    assert (flash / "data.bin").read_bytes() == data
    assert not (flash / "data.bin.tmp").exists()

    with t.page.expect_download(timeout=40_000) as download:
        t.menu("data.bin", "Download")
    assert download.value.suggested_filename == "data.bin"
    assert download.value.path().read_bytes() == data

    # Once more in its place, after a question.
    t.send("data.bin", b"short")
    t.dialog.get_by_role("button", name="Cancel").click()
    assert (flash / "data.bin").read_bytes() == data
    t.send("data.bin", b"short")
    t.dialog.get_by_role("button", name="Replace").click()
    wait_for(lambda: (flash / "data.bin").read_bytes() == b"short", "it was not replaced")

    t.menu("data.bin", "Rename")
    t.page.get_by_role("textbox", name="Name").fill("other.bin")
    t.page.keyboard.press("Enter")
    t.file("other.bin").wait_for()
    assert (flash / "other.bin").read_bytes() == b"short"
    assert not (flash / "data.bin").exists()

    t.button("New file or folder").click()
    t.dialog.get_by_role("button", name="Folder").click()
    t.page.get_by_role("textbox", name="Name").fill("sub folder")
    t.page.keyboard.press("Enter")
    t.file("sub folder").click()
    expect(t.page.get_by_text("No files here.")).to_be_visible()
    for size in (0, 1, 255, 256, 257, 2048):
        t.send(f"{size}.bin", data[:size])
        t.file(f"{size}.bin").wait_for()
        assert (flash / "sub folder" / f"{size}.bin").read_bytes() == data[:size]
        with t.page.expect_download() as download:
            t.menu(f"{size}.bin", "Download")
        assert download.value.path().read_bytes() == data[:size]
    t.button("Top folder of the board").click()

    t.menu("sub folder", "Delete")
    t.dialog.get_by_role("button", name="Delete").click()
    expect(t.dialog).to_contain_text("The folder is not empty")
    t.dialog.get_by_role("button", name="OK").click()
    t.menu("other.bin", "Delete")
    t.dialog.get_by_role("button", name="Cancel").click()
    assert (flash / "other.bin").exists()
    t.menu("other.bin", "Delete")
    t.dialog.get_by_role("button", name="Delete").click()
    expect(t.file("other.bin")).to_have_count(0)
    assert not (flash / "other.bin").exists()
    assert "Traceback" not in t.text


def test_names(board: Board, flash: Path, tab: Callable[..., Tab]) -> None:
    markup = "<img src=x onerror=alert(1)>.txt"
    quoted = """a'b"c\\d\te.txt"""
    for name in (markup, quoted, "grüße \N{SNOWMAN}.txt"):
        board.write(name, name)
    t = tab(board.port)
    t.login()
    for name in (markup, quoted, "grüße \N{SNOWMAN}.txt"):
        entry = t.page.locator("#files .list .name span:first-child").filter(has_text=re.compile(re.escape(name[:5])))
        assert entry.text_content() == name
    assert t.page.locator("#files img").count() == 0
    t.file("grüße \N{SNOWMAN}.txt").click()
    expect(t.page.get_by_label("Text of the file")).to_have_value("grüße \N{SNOWMAN}.txt")

    # With the slash before it, 63 bytes and 64.
    longest = "\N{SNOWMAN}" + 59 * "n"
    t.send(longest, b"longest")
    t.file(longest).wait_for()
    assert (flash / longest).read_bytes() == b"longest"
    t.send(longest + "n", b"")
    expect(t.dialog).to_contain_text("has 64 bytes; the board takes at most 63")
    t.dialog.get_by_role("button", name="OK").click()


@pytest.mark.boards("esp32", "lwip", "lwip-esp8266", reason="the least memory, too")
def test_editor(board: Board, flash: Path, tab: Callable[..., Tab]) -> None:
    board.write("hello.py", b"name = 'world'\r\nprint('Hello,', name)\r\n")
    t = tab(board.port)
    t.login()
    t.menu("hello.py", "Run")
    t.wait("\nHello, world\n>>>")
    t.file("hello.py").click()
    area = t.page.get_by_label("Text of the file")
    expect(area).to_be_focused()
    t.page.keyboard.type("# grüße\n")
    t.page.keyboard.press("Control+End")
    t.page.keyboard.type("for i in range(3):\n")
    t.page.keyboard.press("Tab")
    t.page.keyboard.type("print(i, input('? '))\n1 / 0\n")
    t.page.keyboard.press("Control+Enter")
    for i in range(3):
        t.wait(f"{i} answer\n?" if i < 0 else "?")
        t.type(f"answer{i}\n")
        t.wait(f"{i} answer{i}")
    t.wait("ZeroDivisionError: divide by zero\n>>>")
    assert b"range" not in (flash / "hello.py").read_bytes()
    area.focus()
    t.page.keyboard.press("Control+s")
    wait_for(lambda: b"range" in (flash / "hello.py").read_bytes(), "it was not saved")
    assert (flash / "hello.py").read_bytes() == (
        "# grüße\r\nname = 'world'\r\nprint('Hello,', name)\r\n"
        "for i in range(3):\r\n    print(i, input('? '))\r\n1 / 0\r\n"
    ).encode()
    expect(t.jobs.last).to_contain_text("Done")

    # What was not saved is asked for.
    area.focus()
    t.page.keyboard.type("more")
    t.page.get_by_role("region", name="Editor").get_by_role("button", name="Close").click()
    t.dialog.get_by_role("button", name="Don't save").click()
    expect(area).to_be_hidden()
    t.type("'prompt'\n")
    t.wait("'prompt'\n'prompt'\n>>>")


def test_new_file(board: Board, flash: Path, tab: Callable[..., Tab]) -> None:
    t = tab(board.port)
    t.login()
    t.button("New file or folder").click()
    t.dialog.get_by_role("button", name="File").click()
    t.page.get_by_role("textbox", name="Name").press("Enter")
    expect(t.page.get_by_label("Text of the file")).to_be_focused()
    t.page.keyboard.type("print(1)\n")
    t.button("Save").click()
    t.file("new.py").wait_for()
    assert (flash / "new.py").read_text() == "print(1)\n"


def test_running_program(board: Board, flash: Path, tab: Callable[..., Tab]) -> None:
    board.write("data.bin", bytes(5000))
    t = tab(board.port)
    t.login()
    t.type("import time\nwhile True: time.sleep(0.01)\n\n")
    t.wait("while True")
    t.send("new.bin", 3000 * b"n")
    expect(t.jobs).to_contain_text("Waits for the prompt, to be checked and named: a program is running.")
    assert (flash / "new.bin.tmp").read_bytes() == 3000 * b"n"
    assert not (flash / "new.bin").exists()
    with t.page.expect_download() as download:
        t.menu("data.bin", "Download")
    assert download.value.path().read_bytes() == bytes(5000)
    t.button("Refresh the list").click()
    expect(t.page.locator("#files .notice")).to_contain_text("A program is running")
    t.button("Stop it (Ctrl-C)").click()
    t.wait("KeyboardInterrupt:")
    t.file("new.bin").wait_for()
    assert (flash / "new.bin").read_bytes() == 3000 * b"n"


def test_login_into_a_program(board: Board, flash: Path, tab: Callable[..., Tab]) -> None:
    """The C module shows a prompt at the login, also where a program runs."""
    board.type("import time\r\nfor i in range(1000): time.sleep(0.01)\r\n\r\n")
    board.wait("range")
    t = tab(board.port)
    t.password(PASSWORD)
    expect(t.page.locator("#files .notice")).to_contain_text("A program is running")
    t.button("Stop it (Ctrl-C)").click()
    t.file("boot.py").wait_for()
    t.type("'prompt'\n")
    t.wait("'prompt'\n'prompt'\n>>>")


def test_unfinished_line(board: Board, tab: Callable[..., Tab]) -> None:
    t = tab(board.port)
    t.login()
    t.type("unfinished")
    t.wait(">>> unfinished")
    t.button("Refresh the list").click()
    expect(t.page.locator("#files .notice")).to_contain_text("unfinished line")
    t.page.keyboard.press("Tab")
    t.type(" = 1\n")
    expect(t.page.locator("#files .notice")).to_be_hidden()
    t.type("unfinished\n")
    t.wait("unfinished\n1\n>>>")


@pytest.mark.parametrize("way", ["upload", "download"])
def test_cancel(
    way: str, kind: Kind, make_board: Callable[..., Board], flash: Path, tab: Callable[..., Tab], tmp_path: Path
) -> None:
    # What takes long enough to be cancelled. The emulated board's flash has 4 MB.
    size, options = (2_000_000, {"round_trip_ms": 10}) if kind.emulated else (30_000_000, {})
    if way == "download":
        with (flash / "large.bin").open("wb") as f:
            f.truncate(size)
    board = start(make_board, flash, **options)
    t = tab(board.port)
    t.login()
    if way == "download":
        t.menu("large.bin", "Download")
    else:
        (tmp_path / "new.bin").write_bytes(bytes(size))
        t.page.locator("#files input[type=file]").set_input_files(tmp_path / "new.bin")
    expect(t.jobs).to_contain_text(re.compile(r"KB of|MB of"))
    t.jobs.get_by_role("button", name="Cancel").click()
    expect(t.jobs).to_contain_text("Cancelled")
    expect(t.state).to_have_text(re.compile("^Connected to"))
    t.button("Refresh the list").click()
    expect(t.file("new.bin.tmp")).to_have_count(0)
    wait_for(lambda: not (flash / "new.bin.tmp").exists(), "what was sent is still there")
    assert not (flash / "new.bin").exists()
    # The next one works.
    t.send("small.bin", b"small")
    t.file("small.bin").wait_for()
    assert (flash / "small.bin").read_bytes() == b"small"


def test_shrunk_file(board: Board, flash: Path, tab: Callable[..., Tab]) -> None:
    """A file that is shorter than the list says leaves the board with acknowledgements to take for something else."""
    board.write("data.bin", bytes(5000))
    t = tab(board.port)
    t.login()
    t.serial_seen = True
    board.write("data.bin", b"short")
    for _ in range(2):
        with t.page.expect_download() as download:
            t.menu("data.bin", "Download")
        assert download.value.path().read_bytes() == b"short"
        t.button("Refresh the list").click()
    expect(t.state).to_have_text(re.compile("^Connected to"))


def test_missing_file(board: Board, flash: Path, tab: Callable[..., Tab]) -> None:
    board.write("data.bin", b"data")
    t = tab(board.port)
    t.login()
    t.serial_seen = True
    board.remove("data.bin")
    t.menu("data.bin", "Download")
    expect(t.jobs).to_contain_text("The board could not open the file.")
    expect(t.state).to_have_text(re.compile("^Connected to"))


def test_soft_reset(board: Board, flash: Path, tab: Callable[..., Tab]) -> None:
    t = tab(board.port)
    t.login()
    t.serial_seen = True
    board.write("main.py", "print('main.py')\n")
    board.skip()
    t.page.keyboard.press("Control+d")
    board.wait("main.py")
    expect(t.state).to_have_text("The board restarts. Connecting again …")
    expect(t.state).to_have_text(re.compile("^Connected to"))
    t.type("'after'\n")
    t.wait("'after'\n'after'\n>>>")
    t.file("main.py").wait_for()


def test_silent_board(board: Board, tab: Callable[..., Tab]) -> None:
    t = tab(board.port)
    t.login()
    board.process.send_signal(signal.SIGSTOP)
    expect(t.state).to_have_text(re.compile(r"^No answer for \d+ s: the board is busy, or gone$"), timeout=15_000)
    board.process.send_signal(signal.SIGCONT)
    expect(t.state).to_have_text(re.compile("^Connected to"))


def test_vanished_board(board: Board, tab: Callable[..., Tab]) -> None:
    t = tab(board.port)
    t.login()
    t.serial_seen = True
    board.run("webrepl.stop()")
    expect(t.state).to_have_text("The connection broke. Connecting again …")
    expect(t.state).to_contain_text("No answer from", timeout=15_000)
    board.run(f"webrepl.start(port={board.port})")
    expect(t.state).to_have_text(re.compile("^Connected to"), timeout=15_000)
    t.complaints[:] = [text for text in t.complaints if not REFUSED.match(text)]


PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


def test_phone(board: Board, flash: Path, tab: Callable[..., Tab]) -> None:
    t = tab(board.port, **PHONE)
    t.login()
    expect(t.file("boot.py")).to_be_hidden()
    t.type("x = 'phone'\n")
    t.wait("\n>>>")
    t.button("Up").tap()
    t.wait(">>> x = 'phone'\n>>> x = 'phone'")
    t.button(re.compile("^Control C")).tap()
    t.type("impor")
    t.button("Tab").tap()
    t.wait(">>> import")
    t.button(re.compile("^Control C")).tap()
    t.button("Files").tap()
    expect(t.file("boot.py")).to_be_visible()
    t.page.get_by_label("More for boot.py").tap()
    t.dialog.get_by_role("button", name="Edit").tap()
    expect(t.page.get_by_label("Text of the file")).to_be_visible()
    assert t.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_keyboard(board: Board, tab: Callable[..., Tab]) -> None:
    t = tab(board.port)
    expect(t.page.get_by_label("Password of the board")).to_be_focused()
    t.page.keyboard.type(PASSWORD)
    t.page.keyboard.press("Enter")
    t.file("boot.py").wait_for()
    terminal = t.page.get_by_label(re.compile("^Terminal"))
    expect(terminal).to_be_focused()
    t.page.keyboard.press("F6")
    expect(t.file("boot.py")).to_be_focused()
    t.page.keyboard.press("Tab")
    t.page.keyboard.press("Enter")
    expect(t.dialog).to_be_visible()
    t.page.keyboard.press("Escape")
    expect(t.dialog).to_have_count(0)
    expect(t.page.get_by_label("More for boot.py")).to_be_focused()
    t.page.keyboard.press("F6")
    expect(terminal).to_be_focused()
    t.page.keyboard.press("Shift+Tab")
    expect(t.button("Disconnect")).to_be_focused()
    # All that can be pressed has a name.
    names = t.page.eval_on_selector_all("button", "all => all.map(b => b.ariaLabel || b.textContent)")
    assert all(names)
    assert t.page.locator("button:not([type])").count() == 0


def test_copy(board: Board, tab: Callable[..., Tab]) -> None:
    t = tab(board.port)
    t.login()
    t.type("print('to be ' + 'copied')\n")
    t.wait("\nto be copied\n>>>")
    t.page.evaluate(
        "document.addEventListener('copy', event => { copied = event.clipboardData.getData('text/plain'); });"
        "var copied = null"
    )
    row = t.page.locator(".xterm-rows > div", has_text=re.compile("^to.be.copied"))
    row.click(click_count=3, position={"x": 10, "y": 8})
    t.page.keyboard.press("Control+c")
    t.page.evaluate("document.body.append(document.createElement('textarea'))")
    t.page.locator("body > textarea").focus()
    t.page.keyboard.press("Control+v")
    assert t.page.locator("body > textarea").input_value().rstrip("\n") == "to be copied"


@pytest.mark.boards("lwip", reason="there is no round trip on the loopback interface")
def test_get_is_fast(make_board: Callable[..., Board], flash: Path, tab: Callable[..., Tab]) -> None:
    """At a round trip of 10 ms, at least 5 times as fast as one block after the other; a program pauses under 50 ms."""
    data = bytes(i * i % 251 for i in range(200_000))
    (flash / "data.bin").write_bytes(data)
    (flash / "pauses.py").write_text(PAUSES)
    board = start(make_board, flash, round_trip_ms=10)
    with Client(board.port) as client:
        began = time.monotonic()
        assert client.get("data.bin") == data
        slow = time.monotonic() - began
    t = tab(board.port)
    t.login()
    t.type("import pauses\n")
    t.wait("import pauses")
    with t.page.expect_download(timeout=30_000) as download:
        t.menu("data.bin", "Download")
    expect(t.jobs).to_contain_text("Done: 200 KB in")
    fast = float(re.findall(r"in ([\d.]+) s", t.jobs.inner_text())[0])
    assert download.value.path().read_bytes() == data
    t.wait("longest pause", 20)
    t.wait(" ms\n>>>")
    longest = int(re.findall(r"longest pause (\d+) ms", t.text)[0])
    assert fast * 5 <= slow
    assert longest < 50


def test_drop(board: Board, flash: Path, tab: Callable[..., Tab]) -> None:
    t = tab(board.port)
    t.login()
    t.page.evaluate(
        """() => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File(["dropped"], "dropped.txt"));
            for (const name of ["dragover", "drop"]) {
                const event = new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true });
                document.querySelector(".terminal").dispatchEvent(event);
                if (!event.defaultPrevented) throw new Error(`${name} is left to the browser`);
            }
        }"""
    )
    t.file("dropped.txt").wait_for()
    assert (flash / "dropped.txt").read_bytes() == b"dropped"


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.boards("esp32", reason="it is not the board that serves it")
def test_hosted_elsewhere(compressed: bool, make_board: Callable[..., Board], flash: Path, browser: Browser) -> None:
    """The same file is the script at static_host, as gzip or inflated."""
    data = PAGE.read_bytes() if compressed else gzip.decompress(PAGE.read_bytes())

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript")
            self.send_header("Content-Length", str(len(data)))
            if compressed:
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with (flash / "webrepl_cfg.py").open("a") as config:
            config.write(f"BASE = 'http://{HOST}:{server.server_port}/'\n")
        (flash / PAGE.name).unlink()
        board = start(make_board, flash)
        context = browser.new_context(viewport=WIDE)
        t = Tab(context, board.port)
        t.login()
        assert t.complaints == []
        context.close()
        server.shutdown()
        thread.join()


# What the pictures in the README show.
SCENE = {
    "main.py": "import blink\n\nblink.run()\n",
    "blink.py": """import time

COUNT = 3


def run():
    for i in range(COUNT):
        print("on", i)
        time.sleep_ms(200)
        print("off", i)
        time.sleep_ms(200)


run()
""",
    "log.csv": "time,temperature\n" + "12:00,21.5\n" * 400,
    "settings.json": '{"pin": 2}\n',
}


@pytest.mark.boards("lwip", reason="they all look alike, but for the size of the flash")
def test_pictures(make_board: Callable[..., Board], flash: Path, chromium: BrowserType) -> None:
    """Take the pictures for the README: `make pictures` puts them into its place."""
    for name, text in SCENE.items():
        (flash / name).write_text(text)
    (flash / "lib").mkdir()
    board = start(make_board, flash)
    with launch(chromium, f"esp32.local:8266 127.0.0.1:{board.port}") as browser:
        for name, options in (
            ("session", {"viewport": {"width": 960, "height": 540}}),
            ("session-phone", {**PHONE, "viewport": {"width": 390, "height": 640}}),
        ):
            context = browser.new_context(**options)
            t = Tab(context, 8266, "esp32.local")
            t.login()
            t.type("import sys\nsys.implementation.name\n")
            t.wait("'micropython'")
            if name == "session":
                t.file("blink.py").click()
                expect(t.page.get_by_label("Text of the file")).to_be_focused()
                t.page.keyboard.press("Control+Enter")
                t.wait("off 2\n>>>")
                expect(t.jobs).to_have_count(0, timeout=10_000)
            t.page.screenshot(path=ROOT / "build" / f"{name}.png")
            assert t.complaints == []
            context.close()


def test_build(tmp_path: Path) -> None:
    """What is committed is what the sources make, to the byte."""
    built = tmp_path / "built.gz"
    subprocess.run(["make", "-s", "page", f"PAGE={built}"], cwd=ROOT, check=True, timeout=100)
    assert built.read_bytes() == PAGE.read_bytes()


def test_file() -> None:
    data = PAGE.read_bytes()
    assert len(data) <= 100 * 1024
    script = gzip.decompress(data).decode("ascii")
    for name in ("WebREPL authors", "The xterm.js authors", "Christopher Jeffrey", "SourceLair"):
        assert f"{name}" in script
    assert "Permission is hereby granted" in script
