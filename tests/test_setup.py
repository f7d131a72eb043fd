"""The wizard: its dialogue, what it makes of boot.py and webrepl_cfg.py, what a power cut or a full flash leaves."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from board import PASSWORD, Board, BoardError, free_port
from client import Client

QUIT = r"Enter to quit: "
NEW = r"New password \(4 to 9 characters\): "
REPEAT = r"Repeat it: "
CHANGE = r"Change the password\? \(y/n\) "
REBOOT = r"Reboot now, once saved\? \(y/n\) "
PROMPT = r"\r\n>>> "
CTRL_C, CTRL_D = "\x03", "\x04"

START = "import webrepl\nwebrepl.start()\n"
CONFIG = f"PASS = {PASSWORD!r}\n"


def wizard(board: Board, *answers: tuple[str, str], end: str = PROMPT) -> str:
    """Import the wizard on the serial console, answer each question; return what it shows after the last answer."""
    board.type("import webrepl_setup as w\r")
    for question, answer in answers:
        board.wait(question)
        board.type(answer if answer in (CTRL_C, CTRL_D) else answer + "\r")
    return board.wait(f"(.*?){end}")[1].decode()


def contents(flash: Path) -> dict[str, str]:
    """Return what is on the flash."""
    return {path.name: path.read_bytes().decode() for path in flash.iterdir()}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """Return a board that all tests of this file share; its flash may hold anything."""
    with Board(tmp_path_factory.mktemp("desk")) as board:
        board.wait(">>> ")
        wizard(board, (QUIT, ""))
        yield board


@pytest.fixture
def board(desk: Board) -> Board:
    """Return the shared board with an empty flash and at its prompt, also if the test before has failed."""
    desk.skip()
    desk.type(CTRL_C)
    desk.wait(PROMPT)
    for path in desk.flash.iterdir():
        path.unlink()
    return desk


def change(board: Board, action: str, before: str) -> str:
    """Enable or disable WebREPL in a boot.py; check what is true of every case; return what it is then."""
    boot = board.flash / "boot.py"
    boot.write_bytes(before.encode("latin-1"))
    said = board.run(f"print(w.change_daemon({action!r}), w.get_daemon_status(), w.change_daemon({action!r}))")
    after = boot.read_bytes().decode("latin-1")
    assert said.split() == [str(after != before), str(action == "E"), "False"]
    ast.parse(after)
    assert [path.name for path in board.flash.iterdir()] == ["boot.py"]
    return after


ENABLE = {
    "empty": ("", START),
    "other-lines": ("import esp\n", "import esp\n" + START),
    "no-line-end": ("import esp", "import esp\n" + START),
    "crlf": ("import esp\r\n", "import esp\r\nimport webrepl\r\nwebrepl.start()\r\n"),
    "crlf-no-line-end": ("a = 1\r\nb = 2", "a = 1\r\nb = 2\r\nimport webrepl\r\nwebrepl.start()\r\n"),
    "not-utf-8": ("# caf\xe9\n", "# caf\xe9\n" + START),
    "commented": ("import esp\n#import webrepl\n#webrepl.start()\nx = 1\n", "import esp\n" + START + "x = 1\n"),
    "commented-space": ("# import webrepl\n# webrepl.start()\n", START),
    "commented-indent": ("x = 1\n  #  import webrepl\n  ## webrepl.start()\n", "x = 1\n" + START),
    "commented-crlf": ("#import webrepl\r\n#webrepl.start()", "import webrepl\r\nwebrepl.start()"),
    "only-start-commented": ("import webrepl\n# webrepl.start()\n", START),
    "only-import-commented": ("# import webrepl\nwebrepl.start()\n", START),
    "only-start": ("# webrepl.start()\n", START),
    "only-start-crlf": ("x = 1\r\n#webrepl.start()\r\n", "x = 1\r\nimport webrepl\r\nwebrepl.start()\r\n"),
    "only-import": ("import webrepl\nx = 1\n", "import webrepl\nx = 1\nwebrepl.start()\n"),
    "arguments": (
        "# import webrepl\n# webrepl.start(port=1234)  # mine\n",
        "import webrepl\nwebrepl.start(port=1234)  # mine\n",
    ),
    "string-argument": (
        '#import webrepl\n#webrepl.start(password="#;)")\n',
        'import webrepl\nwebrepl.start(password="#;)")\n',
    ),
    "foreground": ("#import webrepl\n#webrepl.start_foreground()\n", "import webrepl\nwebrepl.start_foreground()\n"),
    "one-line": ("x = 1\n# import webrepl; webrepl.start()\n", "x = 1\nimport webrepl; webrepl.start()\n"),
    "first-of-two": (
        "#import webrepl\n#webrepl.start(port=1)\n#import webrepl\n#webrepl.start(port=2)\n",
        "import webrepl\nwebrepl.start(port=1)\n#import webrepl\n#webrepl.start(port=2)\n",
    ),
    "list-of-imports": ("import network, webrepl\n", "import network, webrepl\nwebrepl.start()\n"),
    "another-name": ("import webrepl as w\n", "import webrepl as w\n" + START),
    "setup-and-cfg": (
        "import webrepl_setup\nimport webrepl_cfg\n",
        "import webrepl_setup\nimport webrepl_cfg\n" + START,
    ),
    "commented-setup": ("#import webrepl_setup\n#webrepl.stop()\n", "#import webrepl_setup\n#webrepl.stop()\n" + START),
    "prose": (
        "# import webrepl to get in\n# webrepl.start() does it\n",
        "# import webrepl to get in\n# webrepl.start() does it\n" + START,
    ),
    "string": (
        'print("import webrepl")\nprint("webrepl.start()")\n',
        'print("import webrepl")\nprint("webrepl.start()")\n' + START,
    ),
    "docstring": ('"""\nimport webrepl\nwebrepl.start()\n"""\n', '"""\nimport webrepl\nwebrepl.start()\n"""\n' + START),
    "comment-in-string": ("x = '''\n# webrepl.start()\n'''\n", "x = '''\n# webrepl.start()\n'''\n" + START),
    "comment-in-brackets": ("x = [\n# webrepl.start()\n]\n", "x = [\n# webrepl.start()\n]\n" + START),
    "end-of-block": (
        "import webrepl\nif 1:\n    x = 1\n    # webrepl.start()\ny = 1\n",
        "import webrepl\nif 1:\n    x = 1\n    webrepl.start()\ny = 1\n",
    ),
    "start-of-block": (
        "import webrepl\nif 1:\n    # webrepl.start()\n    x = 1\n",
        "import webrepl\nif 1:\n    webrepl.start()\n    x = 1\n",
    ),
    "after-block": (
        "import webrepl\nif 1:\n    x = 1\n# webrepl.start()\ny = 1\n",
        "import webrepl\nif 1:\n    x = 1\nwebrepl.start()\ny = 1\n",
    ),
    "after-block-at-end": (
        "import webrepl\nif 1:\n    x = 1\n\n# webrepl.start()\n\n",
        "import webrepl\nif 1:\n    x = 1\n\nwebrepl.start()\n\n",
    ),
    "toggled-in-block": (
        "import webrepl\nif 1:\n    x = 1\n#    webrepl.start()\n    y = 1\n",
        "import webrepl\nif 1:\n    x = 1\n    webrepl.start()\n    y = 1\n",
    ),
    "before-except": (
        "import webrepl\ntry:\n\tx = 1\n# webrepl.start()\nexcept OSError:\n\tpass\n",
        "import webrepl\ntry:\n\tx = 1\n\twebrepl.start()\nexcept OSError:\n\tpass\n",
    ),
    "import-in-function": (
        "def f():\n    import webrepl\n# webrepl.start()\n",
        "def f():\n    import webrepl\nimport webrepl\nwebrepl.start()\n",
    ),
}

# What these are disabled to is enabled to what they were.
DISABLE = {
    "two-lines": (START, "#import webrepl\n#webrepl.start()\n"),
    "crlf": ("import webrepl\r\nwebrepl.start()\r\nx = 1", "#import webrepl\r\n#webrepl.start()\r\nx = 1"),
    "arguments": (
        "import webrepl\nwebrepl.start(port=1)  # mine\n",
        "#import webrepl\n#webrepl.start(port=1)  # mine\n",
    ),
    "foreground": ("import webrepl\nwebrepl.start_foreground ()\n", "#import webrepl\n#webrepl.start_foreground ()\n"),
    "one-line": ("import webrepl; webrepl.start()\n", "#import webrepl; webrepl.start()\n"),
    "block": ("import webrepl\nif 1:\n    webrepl.start()\n", "#import webrepl\nif 1:\n    pass  # webrepl.start()\n"),
    "try": (
        "try:\n\timport webrepl\n\twebrepl.start()\nexcept OSError:\n\tpass\n",
        "try:\n\tpass  # import webrepl\n\tpass  # webrepl.start()\nexcept OSError:\n\tpass\n",
    ),
    "one-line-if": ("import webrepl\nif 1: webrepl.start()\n", "import webrepl\nif 1: False and webrepl.start()\n"),
    "several-lines": (
        "import webrepl\nwebrepl.start(\n    port=1,\n)\n",
        "import webrepl\nFalse and webrepl.start(\n    port=1,\n)\n",
    ),
    "with-others": (
        "import esp; import webrepl; webrepl.start(); x = 1\n",
        "import esp; import webrepl; False and webrepl.start(); x = 1\n",
    ),
    "list-of-imports": ("import network, webrepl\nwebrepl.start()\n", "import network, webrepl\n#webrepl.start()\n"),
    "used-otherwise": (
        "import webrepl\nwebrepl.DEBUG = 1\nwebrepl.start()\n",
        "import webrepl\nwebrepl.DEBUG = 1\n#webrepl.start()\n",
    ),
    "setup-and-cfg": (
        "import webrepl_cfg\nimport webrepl\nwebrepl.start(password=webrepl_cfg.PASS)\n",
        "import webrepl_cfg\n#import webrepl\n#webrepl.start(password=webrepl_cfg.PASS)\n",
    ),
    "string": ("x = 'webrepl.start()'\n" + START, "x = 'webrepl.start()'\n#import webrepl\n#webrepl.start()\n"),
    "docstring": ("'''\n" + START + "'''\n" + START, "'''\n" + START + "'''\n#import webrepl\n#webrepl.start()\n"),
}

ENABLED = {
    "two-lines": START,
    "commented-too": "#import webrepl\n#webrepl.start(port=1)\n" + START,
    "list": "import webrepl, network\nif network:\n    webrepl.start()\n",
    "import-in-try": "try:\n    import webrepl\nexcept ImportError:\n    raise\nwebrepl.start()\n",
    "no-line-end": "import webrepl;webrepl.start()",
}

DISABLED = {
    "empty": "",
    "commented": "# import webrepl\n# webrepl.start()\n",
    "string": 'print("webrepl.start()")',
    "other-names": "import webrepl_setup\nmywebrepl.start()\nx.webrepl.start()\nwebrepl.started()\nf = webrepl.start\n",
}


@pytest.mark.parametrize(("before", "after"), ENABLE.values(), ids=ENABLE)
def test_enable(board: Board, before: str, after: str) -> None:
    """What is commented out comes back in its place; what is missing is added at the end."""
    assert change(board, "E", before) == after


@pytest.mark.parametrize(("before", "after"), DISABLE.values(), ids=DISABLE)
def test_disable_and_enable_again(board: Board, before: str, after: str) -> None:
    """What is commented out stays valid Python, and comes back as it was."""
    assert change(board, "D", before) == after
    assert change(board, "E", after) == before


@pytest.mark.parametrize("before", ENABLED.values(), ids=ENABLED)
def test_enable_when_enabled(board: Board, before: str) -> None:
    """Nothing is written twice."""
    assert change(board, "E", before) == before


@pytest.mark.parametrize("before", DISABLED.values(), ids=DISABLED)
def test_disable_when_disabled(board: Board, before: str) -> None:
    """What only looks like WebREPL stays."""
    assert change(board, "D", before) == before


def test_enable_disable_enable(board: Board) -> None:
    """What the wizard has added itself it takes back and adds again."""
    enabled = change(board, "E", "import esp")
    assert change(board, "E", change(board, "D", enabled)) == enabled


def test_long_boot_on_a_small_heap(make_board: Callable[..., Board], tmp_path: Path) -> None:
    """A boot.py is not read into RAM as a whole."""
    before = "".join(f"x{i} = '{'y' * 60}'\n" for i in range(600))
    boot = tmp_path / "boot.py"
    board = make_board(flash=tmp_path, heap="36k")
    boot.write_text(before)
    assert wizard(board, (QUIT, "e"), (NEW, PASSWORD), (REPEAT, PASSWORD), (REBOOT, "n")).endswith("next boot.")
    assert boot.read_text() == before + START


def test_first_time(board: Board) -> None:
    """A new board has no boot.py and no webrepl_cfg.py."""
    wizard(board, (f"WebREPL is disabled on boot.\r\n.*{QUIT}", ""))
    assert contents(board.flash) == {}
    shown = wizard(board, (QUIT, "E"), (NEW, PASSWORD), (REPEAT, PASSWORD), (REBOOT, "n"))
    assert shown.splitlines()[-1] == "Saved. It takes effect at the next boot."
    assert contents(board.flash) == {"boot.py": START, "webrepl_cfg.py": CONFIG}


@pytest.mark.parametrize(("boot", "status"), [(START, "enabled"), ("#" + START, "enabled"), ("", "disabled")])
def test_tells_the_status(board: Board, boot: str, status: str) -> None:
    """The wizard begins with how things are; Enter leaves them so."""
    (board.flash / "boot.py").write_text(boot)
    wizard(board, (f"WebREPL is {status} on boot.\r\n.*{QUIT}", ""))
    assert contents(board.flash) == {"boot.py": boot}


def test_reboot(board: Board) -> None:
    """The board restarts when asked to, with the new boot.py."""
    (board.flash / "boot.py").write_text("print('boot' * 2)\n" + START)
    wizard(board, (QUIT, "d"), (REBOOT, "y"), end="bootboot\r\n.*>>> ")
    assert contents(board.flash) == {"boot.py": "print('boot' * 2)\n#import webrepl\n#webrepl.start()\n"}
    wizard(board, (QUIT, ""))


@pytest.mark.parametrize("action", ["E", "D"])
def test_no_reboot_when_nothing_changed(board: Board, action: str) -> None:
    """The last question only comes when there is something to save."""
    (board.flash / "boot.py").write_text(START if action == "E" else "")
    (board.flash / "webrepl_cfg.py").write_text(CONFIG)
    before = contents(board.flash)
    answers = [(QUIT, action), *([(CHANGE, "n")] if action == "E" else [])]
    assert wizard(board, *answers).splitlines()[-1] == "Nothing to change."
    assert contents(board.flash) == before


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([(NEW, "abc")], "Too short"),
        ([(NEW, "")], "Too short"),
        ([(NEW, "0123456789")], "Too long"),
        ([(NEW, "abcd"), (REPEAT, "abce")], "They differ"),
        ([(NEW, "abcd"), (REPEAT, "")], "They differ"),
    ],
)
def test_password_asked_again(board: Board, answers: list[tuple[str, str]], message: str) -> None:
    """A password that does not do is asked for again, with a reason."""
    wizard(board, (QUIT, "E"), *answers, (message + ".*" + NEW, PASSWORD), (REPEAT, PASSWORD), (REBOOT, "n"))
    assert contents(board.flash) == {"boot.py": START, "webrepl_cfg.py": CONFIG}


def test_questions_asked_again(board: Board) -> None:
    """Only an answer that was offered counts, in either case."""
    (board.flash / "webrepl_cfg.py").write_text(CONFIG)
    wizard(board, (QUIT, "x"), (QUIT, " e "), (CHANGE, ""), (CHANGE, "N"), (REBOOT, "maybe"), (REBOOT, "N"))
    assert contents(board.flash) == {"boot.py": START, "webrepl_cfg.py": CONFIG}


PASSWORDS = ["abcd", "123456789", "it's", '"quote"', "'\"'\"", "back\\", "\\n\\x41", "%s {}", "a; b#", " sp ce "]


@pytest.mark.parametrize("password", PASSWORDS)
def test_password_survives(board: Board, password: str) -> None:
    """Whatever can be typed comes back from webrepl_cfg.py."""
    wizard(board, (QUIT, "E"), (NEW, password), (REPEAT, password), (REBOOT, "n"))
    assert ast.literal_eval((board.flash / "webrepl_cfg.py").read_text().removeprefix("PASS = ")) == password
    board.run("import sys; sys.modules.pop('webrepl_cfg', None)")
    assert ast.literal_eval(board.run("import webrepl_cfg; print(repr(webrepl_cfg.PASS))")) == password


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("p\xe4ss", None),
        ("\xe4\xf6\xfc\xdf1", None),
        ("\u20ac\u20ac\u20ac", "Too short"),
        ("\xe4\xf6\xfc\xdf12", "Too long"),
        ("\u20ac\u20ac\u20ac\u20ac", "Too long"),
        ("abc\t", "No control characters"),
        ("abc\x7f", "No control characters"),
    ],
)
def test_password_bytes(board: Board, password: str, message: str | None) -> None:
    """The limit is of bytes; input() of a console takes ASCII only, so this comes another way."""
    said = board.run(
        f"answers = [{password!a}] * 2 + ['abcd'] * 2\n"
        "w.getpass = lambda prompt: answers.pop(0)\n"
        "try:\n    print(w.input_pass().encode())\nfinally:\n    w.getpass = input\n"
    )
    if message:
        assert said.startswith(message)
    else:
        assert ast.literal_eval(said).decode() == password


def test_non_ascii_password_survives(board: Board) -> None:
    """So does what cannot be typed."""
    board.run("w._update(w.CONFIG, w._edit_config, b'PASS = ' + repr('p\\xe4\\u20ac').encode(), True)")
    board.run("import sys; sys.modules.pop('webrepl_cfg', None)")
    assert board.run("import webrepl_cfg; print(webrepl_cfg.PASS == 'p\\xe4\\u20ac')") == "True"


@pytest.mark.parametrize("password", ["secret", "'\"\\#;", "a b c"])
def test_webrepl_takes_the_password(make_board: Callable[..., Board], tmp_path: Path, password: str) -> None:
    """webrepl.start() lets in who has the new password."""
    port = free_port()
    (tmp_path / "boot.py").write_text(f"# import webrepl\n# webrepl.start(port={port})\n")
    board = make_board(flash=tmp_path)
    wizard(board, (QUIT, "E"), (NEW, password), (REPEAT, password), (REBOOT, "y"), end="MicroPython .*>>> ")
    with Client(port, login=False) as client:
        client.login(password)


# What was there, whether that has a password, what it becomes.
CONFIGS = {
    "missing": (None, False, "PASS = 'new1'\n"),
    "replaced": ("PASS = 'old1'\n", True, "PASS = 'new1'\n"),
    "base": ('BASE = "http://x/"\nPASS = "old1"\n', True, "BASE = \"http://x/\"\nPASS = 'new1'\n"),
    "base-only": ('BASE = "http://x/"', False, "BASE = \"http://x/\"\nPASS = 'new1'\n"),
    "crlf": ('PASS="old1"\r\nBASE = 1\r\n', True, "PASS = 'new1'\r\nBASE = 1\r\n"),
    "comments": ("# PASS = 1\nPASS = 'a;#b'  # mine\nx = 1", True, "# PASS = 1\nPASS = 'new1'  # mine\nx = 1"),
    "one-line": ("PASS = 'a;b'; BASE = 'c'\n", True, "PASS = 'new1'; BASE = 'c'\n"),
    "other-names": ("PASSWORD = 1\nMY_PASS = 2\n", False, "PASSWORD = 1\nMY_PASS = 2\nPASS = 'new1'\n"),
    "twice": ("PASS = 'a'\nPASS = 'b'\n", True, "PASS = 'new1'\nPASS = 'new1'\n"),
    "block": ("if x:\n    PASS = 'a'\n", True, "if x:\n    PASS = 'new1'\n"),
    "several-lines": ("PASS = (\n    'a'\n    'b'\n)\nBASE = 1\n", True, "PASS = 'new1'\nBASE = 1\n"),
    "string": ("x = '''\nPASS = 1\n'''\n", False, "x = '''\nPASS = 1\n'''\nPASS = 'new1'\n"),
}


@pytest.mark.parametrize(("before", "has_password", "after"), CONFIGS.values(), ids=CONFIGS)
def test_config(board: Board, before: str | None, has_password: bool, after: str) -> None:
    """Only the password is replaced; the wizard asks whether to change it if there is one."""
    if before is not None:
        (board.flash / "webrepl_cfg.py").write_bytes(before.encode())
    ask = [(CHANGE, "y")] if has_password else []
    wizard(board, (QUIT, "E"), *ask, (NEW, "new1"), (REPEAT, "new1"), (REBOOT, "n"))
    assert contents(board.flash) == {"boot.py": START, "webrepl_cfg.py": after}


QUESTIONS = [(QUIT, "E"), (CHANGE, "y"), (NEW, "new1"), (REPEAT, "new1"), (REBOOT, "y")]


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
@pytest.mark.parametrize("n", range(len(QUESTIONS)))
def test_interrupt_changes_nothing(board: Board, n: int, key: str) -> None:
    """All questions come before the first write."""
    (board.flash / "boot.py").write_text("x = 1\n")
    (board.flash / "webrepl_cfg.py").write_text(CONFIG)
    before = contents(board.flash)
    shown = wizard(board, *QUESTIONS[:n], (QUESTIONS[n][0], key))
    assert shown.splitlines()[-1] == "Nothing changed."
    assert "Traceback" not in shown
    assert contents(board.flash) == before


# A flash that loses power before its step number `steps`: opening to write, writing, renaming and removing are steps.
FLASH = """
import os
class Cut(BaseException):
    pass
class Flash:
    def __init__(self, steps, fat):
        self.steps = steps
        self.fat = fat
        self.stat = os.stat
    def step(self):
        if not self.steps:
            raise Cut
        self.steps -= 1
    def rename(self, old, new):
        self.step()
        if self.fat and w.exists(new):
            raise OSError(17)
        os.rename(old, new)
    def remove(self, name):
        self.step()
        os.remove(name)
    def open(self, name, mode):
        if mode != 'rb':
            self.step()
        return File(self, open(name, mode))
class File:
    def __init__(self, flash, f):
        self.flash = flash
        for name in ('read', 'readline', 'seek', 'tell'):
            setattr(self, name, getattr(f, name))
        self.f = f
    def write(self, data):
        self.flash.step()
        self.f.write(data)
    def __iter__(self):
        return iter(self.f)
    def __enter__(self):
        return self
    def __exit__(self, *_):
        self.f.close()
def cut(steps, fat, work):
    flash = Flash(steps, fat)
    w.os, w.open = flash, flash.open
    try:
        work()
        print('done')
    except Cut:
        print('cut')
    finally:
        w.os, w.open = os, open
"""

LONG = "#" + "x" * 2000 + "\n"
OLD = "import esp\n#import webrepl\nx = 1\n#webrepl.start()\nprint('end')\n"
NEW_BOOT = "import esp\nimport webrepl\nx = 1\nwebrepl.start()\nprint('end')\n"


def cuts(board: Board, fat: bool, work: str, files: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yield what is on the flash when the power went before step 0, 1, 2 and so on of the work."""
    board.run(FLASH)
    for steps in range(100):
        for path in board.flash.iterdir():
            path.unlink()
        for name, text in files.items():
            (board.flash / name).write_text(text)
        if board.run(f"cut({steps}, {fat}, lambda: {work})") == "done":
            assert steps > 3
            return
        yield contents(board.flash)
    raise BoardError("the work has no end")


def solid(text: str) -> str:
    """Return the text without empty lines: on FAT, a file grows by them before it is overwritten, and never shrinks."""
    return "".join(line + "\n" for line in text.splitlines() if line)


CHANGES = {
    "enable": ("E", OLD, NEW_BOOT),
    "disable": ("D", NEW_BOOT, OLD),
    "append": ("E", "x = 1", "x = 1\n" + START),
    "append-sector": ("E", "#" + "x" * 490 + "\n", "#" + "x" * 490 + "\n" + START),
    "append-long": ("E", LONG, LONG + START),
}


@pytest.mark.parametrize("fat", [False, True])
@pytest.mark.parametrize(("action", "old", "new"), CHANGES.values(), ids=CHANGES)
def test_power_cut_in_boot(board: Board, fat: bool, action: str, old: str, new: str) -> None:
    """Wherever the power goes, boot.py is the old or the new one, and the wizard cleans up, wherever the power goes."""
    for left in cuts(board, fat, f"w.change_daemon({action!r})", {"boot.py": old}):
        assert solid(left["boot.py"]) in (solid(old), solid(new))
        assert fat or left["boot.py"] in (old, new)
        for again in cuts_of_repair(board, fat, left):
            assert solid(again["boot.py"]) in (solid(old), solid(new))
        wizard(board, (QUIT, ""))
        assert list(contents(board.flash)) == ["boot.py"]
        board.run(f"w.change_daemon({action!r})")
        assert solid((board.flash / "boot.py").read_text()) == solid(new)


def cuts_of_repair(board: Board, fat: bool, files: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yield what is on the flash when the power went in each step of the repair; leave the files as they were."""
    for steps in range(10):
        for path in board.flash.iterdir():
            path.unlink()
        for name, text in files.items():
            (board.flash / name).write_text(text)
        if board.run(f"cut({steps}, {fat}, lambda: w._repair(w.RC))") == "done":
            break
        yield contents(board.flash)


@pytest.mark.parametrize("fat", [False, True])
def test_power_cut_in_config(board: Board, fat: bool) -> None:
    """webrepl_cfg.py is written as carefully as boot.py."""
    new = "BASE = 1\nPASS = 'longer'\n"
    old = "BASE = 1\nPASS = 'old1'\n"
    for left in cuts(
        board, fat, "w._update(w.CONFIG, w._edit_config, b\"PASS = 'longer'\", True)", {"webrepl_cfg.py": old}
    ):
        assert solid(left["webrepl_cfg.py"]) in (solid(old), solid(new))
        wizard(board, (QUIT, ""))
        assert list(contents(board.flash)) == ["webrepl_cfg.py"]


def test_no_boot_and_power_cut(board: Board) -> None:
    """A new boot.py is there as a whole or not at all."""
    for left in cuts(board, True, "w.change_daemon('E')", {}):
        assert left.get("boot.py") in (None, START)


# A real file system on a disk in RAM, which loses power before it writes its block number `blocks`.
DISK = """
import gc, os
class Disk:
    def __init__(self, data, blocks=1 << 29):
        self.data = bytearray(data)
        self.blocks = blocks
    def readblocks(self, n, buf, offset=0):
        at = n * 512 + offset
        buf[:] = self.data[at : at + len(buf)]
    def writeblocks(self, n, buf, offset=0):
        for i in range(0, len(buf), 512):
            if not self.blocks:
                return -5
            self.blocks -= 1
            at = n * 512 + offset + i
            self.data[at : at + len(buf[i : i + 512])] = buf[i : i + 512]
    def ioctl(self, op, arg):
        return {4: len(self.data) // 512, 5: 512, 6: 0}.get(op)
def mount(disk, fs):
    os.mount(fs(disk), '/ram')
    os.chdir('/ram')
def umount():
    os.chdir('/')
    os.umount('/ram')
def read(name):
    with open(name, 'rb') as f:
        return f.read()
def format(fs, files):
    disk = Disk(bytes(512 * 128))
    fs.mkfs(disk)
    mount(disk, fs)
    for name in files:
        with open(name, 'wb') as f:
            f.write(files[name])
    umount()
    return disk.data
def cut(fs, old, action):
    image = format(fs, {'boot.py': old, 'other': b'other'})
    blocks = 0
    done = False
    while not done:
        disk = Disk(image, blocks)
        mount(disk, fs)
        try:
            w.change_daemon(action)
            done = disk.blocks > 0
        except OSError:
            pass
        umount()
        disk = Disk(disk.data)
        mount(disk, fs)
        left = read('boot.py')
        w._repair(w.RC)
        repaired = read('boot.py')
        w.change_daemon(action)
        print((blocks, left, repaired, read('boot.py'), os.listdir()))
        umount()
        blocks += 1
        gc.collect()
"""


@pytest.mark.parametrize("fs", ["VfsFat", "VfsLfs2"])
@pytest.mark.parametrize(
    ("action", "old", "new"),
    [*CHANGES.values(), ("D", LONG + NEW_BOOT, LONG + OLD)],
    ids=[*CHANGES, "long"],
)
def test_power_cut_on_a_file_system(board: Board, fs: str, action: str, old: str, new: str) -> None:
    """The same with the file systems of boards, cut before each block that they write."""
    board.run(DISK)
    said = board.run(f"cut(os.{fs}, {old.encode()!r}, {action!r})", timeout=60)
    # A file that the power cut left open may complain when it is collected.
    rows = [ast.literal_eval(line) for line in said.splitlines() if line.startswith("(")]
    assert len(rows) > 5
    for _, left, repaired, last, names in rows:
        if fs == "VfsLfs2":
            assert left.decode() in (old, new)
            assert last.decode() == new
        # A file of more than one sector may be of both kinds on FAT, until it is repaired.
        assert solid(left.decode()) in (solid(old), solid(new)) or (
            fs == "VfsFat" and action == "D" and old.startswith(LONG)
        )
        assert len(left) >= min(len(old), len(new))
        assert solid(repaired.decode()) in (solid(old), solid(new))
        assert solid(last.decode()) == solid(new)
        assert sorted(names) == ["boot.py", "other"]


@pytest.mark.parametrize("fs", ["VfsFat", "VfsLfs2"])
def test_full_flash(board: Board, fs: str) -> None:
    """Nothing is lost, and the message says what is wrong."""
    board.run(DISK)
    # littlefs finds a place for small files even then.
    more = "#" + "x" * 600 + "\n"
    files = {"boot.py": (more + OLD).encode(), "webrepl_cfg.py": (more + CONFIG).encode()}
    board.run(
        f"disk = Disk(format(os.{fs}, {files!r}))\nmount(disk, os.{fs})\n"
        "n, size = 0, 1 << 15\n"
        "while size:\n"
        "    try:\n"
        "        with open(f'full{n}', 'wb') as f:\n            f.write(bytes(size))\n"
        "        n += 1\n"
        "    except OSError:\n        size //= 2\n",
        timeout=30,
    )
    try:
        shown = wizard(board, (QUIT, "E"), (CHANGE, "n"), (REBOOT, "y"))
        assert shown.splitlines()[-1] == "./boot.py is as it was: no space left."
        shown = wizard(board, (QUIT, "E"), (CHANGE, "y"), (NEW, "new1"), (REPEAT, "new1"), (REBOOT, "y"))
        assert shown.splitlines()[-1] == "./webrepl_cfg.py is as it was: no space left."
        assert ast.literal_eval(board.run("print({n: read(n) for n in os.listdir() if n[:4] != 'full'})")) == files
        board.run("os.remove('full0')")
        wizard(board, (QUIT, "E"), (CHANGE, "n"), (REBOOT, "n"))
        assert ast.literal_eval(board.run("print(read('boot.py'))")).decode().rstrip() == more + NEW_BOOT.rstrip()
    finally:
        board.run("umount()")


def test_asks_again_at_the_next_import(make_board: Callable[..., Board]) -> None:
    board = make_board("")
    for _ in range(2):
        board.type("import webrepl_setup\r")
        board.wait(r"or Enter to quit: ")
        board.type("\r")
        board.wait(">>> ")
