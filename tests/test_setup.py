"""The wizard: its dialogue, what it makes of boot.py and webrepl_cfg.py, what a power cut or a full flash leaves.

On esp32, lwip and lwip-esp8266, which has an ESP8266's language and heap; the tables of files on esp32 alone.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from board import BOARDS, PASSWORD, Board, Kind
from board import boot as boot_board
from client import Client

pytestmark = pytest.mark.boards(
    "esp32", "lwip", "lwip-esp8266", reason="it uses no sockets, so that one board of each language and heap will do"
)
# Nearer to a test than pytestmark, and so taken instead.
on_one_board = pytest.mark.boards("esp32", reason="hundreds of cases of text, the same code on all boards")

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
    return {path.name: path.read_bytes().decode("latin-1") for path in flash.iterdir()}


def put(board: Board, **files: str | None) -> None:
    """Write boot.py and webrepl_cfg.py, where they are given."""
    for name, text in files.items():
        if text is not None:
            board.write(f"{name}.py", text.encode("latin-1"))


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Board]]:
    """Return a function for a board of a kind that all tests of this file share; its flash may hold anything."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def desk(kind: str) -> Board:
            board = stack.enter_context(boot_board(tmp_path_factory.mktemp("desk"), BOARDS[kind]))
            board.wait(">>> ")
            wizard(board, (QUIT, ""))
            return board

        yield desk


@pytest.fixture
def board(desks: Callable[[str], Board], kind: Kind) -> Board:
    """Return the shared board with an empty flash and at its prompt, also if the test before has failed."""
    board = desks(kind.name)
    board.skip()
    board.type(CTRL_C)
    board.wait(PROMPT)
    for path in board.flash.iterdir():
        board.remove(path.name)
    return board


def decide(board: Board, action: str) -> tuple[bool, list[int]]:
    """Enable or disable WebREPL with the password as it is; return whether that was a change, and the lines named."""
    board.type("import webrepl_setup as w\r")
    named = [int(n) for n in re.findall(rb"\nLine (\d+) may start WebREPL", board.wait(f".*?{QUIT}")[0])]
    board.type(action + "\r")
    if action == "E":
        board.wait(CHANGE)
        board.type("n\r")
    asked = board.wait(rf"Nothing changed\.{PROMPT}|{REBOOT}")[0].startswith(b"Reboot")
    if asked:
        board.type("n\r")
        board.wait(f"Saved.{PROMPT}")
    return asked, named


def change(board: Board, action: str, before: str) -> tuple[str, list[int]]:
    """Enable or disable WebREPL in a boot.py; check what is true of every case; return it, and the lines named."""
    boot = board.flash / "boot.py"
    put(board, boot=before, webrepl_cfg=CONFIG)
    changed, named = decide(board, action)
    after = boot.read_bytes().decode("latin-1")
    assert changed == (after != before)
    ast.parse(after)
    assert decide(board, action)[0] is False
    assert boot.read_bytes().decode("latin-1") == after
    assert sorted(path.name for path in board.flash.iterdir()) == ["boot.py", "webrepl_cfg.py"]
    return after, named


ENABLE = {
    "empty": ("", START),
    "other-lines": ("import esp\n", "import esp\n" + START),
    "no-line-end": ("import esp", "import esp\n" + START),
    "crlf": ("import esp\r\n", "import esp\r\nimport webrepl\r\nwebrepl.start()\r\n"),
    "crlf-no-line-end": ("a = 1\r\nb = 2", "a = 1\r\nb = 2\r\nimport webrepl\r\nwebrepl.start()\r\n"),
    "not-utf-8": ("# caf\xe9\n", "# caf\xe9\n" + START),
    "commented": ("import esp\n#import webrepl\n#webrepl.start()\nx = 1\n", "import esp\n" + START + "x = 1\n"),
    "commented-space": ("# import webrepl\n# webrepl.start()\n", START),
    "commented-apart": (
        "#import webrepl\nx = 1\n\n# webrepl.start()\n\nx = 2",
        "import webrepl\nx = 1\n\nwebrepl.start()\n\nx = 2",
    ),
    "commented-crlf": ("#import webrepl\r\n#webrepl.start()", "import webrepl\r\nwebrepl.start()"),
    "only-start-commented": ("import webrepl\n# webrepl.start()\n", START),
    "only-import": ("import webrepl\nx = 1\n", "import webrepl\nx = 1\nwebrepl.start()\n"),
    "start-before-import": ("# webrepl.start()\n# import webrepl\n", "# webrepl.start()\n# import webrepl\n" + START),
    "arguments": (
        "# import webrepl\n# webrepl.start(port=1234)  # mine\n",
        "import webrepl\nwebrepl.start(port=1234)  # mine\n",
    ),
    "foreground": ("#import webrepl\n#webrepl.start_foreground()\n", "import webrepl\nwebrepl.start_foreground()\n"),
    "first-of-two": (
        "#import webrepl\n#webrepl.start(port=1)\n#import webrepl\n#webrepl.start(port=2)\n",
        "import webrepl\nwebrepl.start(port=1)\n#import webrepl\n#webrepl.start(port=2)\n",
    ),
    "cfg": ("import webrepl_cfg\n", "import webrepl_cfg\n" + START),
    "prose": (
        "# import webrepl to get in\n# webrepl.start() does it\n",
        "# import webrepl to get in\n# webrepl.start() does it\n" + START,
    ),
    "indented-comment": (
        "if 1:\n    x = 1\n    # webrepl.start()\n",
        "if 1:\n    x = 1\n    # webrepl.start()\n" + START,
    ),
    # There, they would be a syntax error.
    "in-block": (
        "if 1:\n    x = 1\n#import webrepl\n\n#webrepl.start()\n# y\n    y = 1\n",
        "if 1:\n    x = 1\n#import webrepl\n\n#webrepl.start()\n# y\n    y = 1\n" + START,
    ),
    "before-except": (
        "try:\n    x = 1\n#import webrepl\n#webrepl.start()\nexcept OSError:\n    x = 2\n",
        "try:\n    x = 1\n#import webrepl\n#webrepl.start()\nexcept OSError:\n    x = 2\n" + START,
    ),
}

# What these are disabled to is enabled to what they were.
DISABLE = {
    "two-lines": (START, "#import webrepl\n#webrepl.start()\n"),
    "apart": ("import webrepl\nx = 1\nwebrepl.start()\nx = 2\n", "#import webrepl\nx = 1\n#webrepl.start()\nx = 2\n"),
    "crlf": ("import webrepl\r\nwebrepl.start()\r\nx = 1", "#import webrepl\r\n#webrepl.start()\r\nx = 1"),
    "not-utf-8": ("# caf\xe9\n" + START, "# caf\xe9\n#import webrepl\n#webrepl.start()\n"),
    "comments": (
        "import webrepl  # WebREPL\nwebrepl.start(port=1)  # (mine)\n",
        "#import webrepl  # WebREPL\n#webrepl.start(port=1)  # (mine)\n",
    ),
    "foreground": ("import webrepl\nwebrepl.start_foreground()\n", "#import webrepl\n#webrepl.start_foreground()\n"),
    "cfg": (
        "import webrepl_cfg\nimport webrepl\nwebrepl.start(password=webrepl_cfg.PASS)\n",
        "import webrepl_cfg\n#import webrepl\n#webrepl.start(password=webrepl_cfg.PASS)\n",
    ),
}

# What is not understood stays, is named, and nothing is added beside it.
UNCLEAR = {
    "indented": ("import webrepl\nif x:\n    webrepl.start()\n", [3]),
    "both-indented": ("try:\n\timport webrepl\n\twebrepl.start()\nexcept OSError:\n\tpass\n", [3]),
    "commented-too": ("#import webrepl\n#webrepl.start()\nif x:\n    import webrepl\n    webrepl.start()\n", [5]),
    "string": ('print("webrepl.start()")\n', [1]),
    "not-utf-8": ("# \xe9\nprint('\xe9 webrepl.start()')\n", [2]),
    "docstring": ('"""\nimport webrepl\n\nwebrepl.start()\n"""\n', [4]),
    "docstring-other-quotes": ("x = '''\nimport webrepl\nwebrepl.start()\n'''\n", [3]),
    "another-name": ("import webrepl as w\nw.start()\n", [1]),
    "from": ("from webrepl import start\nstart()\n", [1]),
    "dynamic": ("__import__('webrepl').start()\n", [1]),
    "one-line": ("import webrepl; webrepl.start()", [1]),
    "one-line-if": ("import webrepl\nif x: webrepl.start()\n", [2]),
    "several-lines": ("import webrepl\nwebrepl.start(\n    port=1,\n)\n", [2]),
    "more-behind": ("import webrepl\nwebrepl.start(); x = (1)\n", [2]),
    "brackets": ("import webrepl\nwebrepl.start(int(x)\n)\n", [2]),
}

# Other uses of webrepl do not start it, and need the import when it no longer starts.
USES = {
    "debug": ("import webrepl\nwebrepl.DEBUG = 1\n", "webrepl.start()\n"),
    "stop": ("import webrepl\ndef f():\n    webrepl.stop()\n", "webrepl.start()\n"),
    "import-in-string": ('print("import webrepl")\n', START),
    "indented-import": ("try:\n    import webrepl\nexcept OSError:\n    pass\n", START),
    "list": ("import network, webrepl\n", START),
    "comment": ("import webrepl\nx = 1  # not yet webrepl.start()\nf(webrepl)\n", "webrepl.start()\n"),
}

ENABLED = {
    "two-lines": START,
    "commented-too": "#import webrepl\n#webrepl.start(port=1)\n" + START,
    "no-line-end": "import webrepl\nwebrepl.start()",
}

DISABLED = {
    "empty": "",
    "commented": "# import webrepl\n# webrepl.start()\n",
    "comment-in-string": "x = '''\n# webrepl.start()\n'''\n",
    "indented-comment": "if x:\n    pass\n    # webrepl.start()\n",
}


@on_one_board
@pytest.mark.parametrize(("before", "after"), ENABLE.values(), ids=ENABLE)
def test_enable(board: Board, before: str, after: str) -> None:
    """What is commented out comes back in its place; what is missing is added at the end."""
    assert change(board, "E", before) == (after, [])


@on_one_board
@pytest.mark.parametrize(("before", "after"), DISABLE.values(), ids=DISABLE)
def test_disable_and_enable_again(board: Board, before: str, after: str) -> None:
    """What is commented out stays valid Python, and comes back as it was."""
    assert change(board, "D", before) == (after, [])
    assert change(board, "E", after) == (before, [])


@on_one_board
@pytest.mark.parametrize(("before", "lines"), UNCLEAR.values(), ids=UNCLEAR)
def test_unclear_lines_stay(board: Board, before: str, lines: list[int]) -> None:
    """Enabling leaves all of that boot.py to its owner, disabling all but the lines that are understood."""
    after, named = change(board, "E", before)
    assert (after, sorted(named)) == (before, lines)
    after, named = change(board, "D", before)
    assert (after, sorted(named)) == (before, lines)


def test_unclear_lines_are_shown(board: Board) -> None:
    """The number, the text, what to do; and nothing is claimed."""
    put(board, boot="import webrepl\nif x:\n    webrepl.start()\n")
    shown = (
        r"Line 3 may start WebREPL:     webrepl.start\(\)\r\nChange it by hand.\r\nWebREPL is maybe enabled on boot."
    )
    wizard(board, (shown + ".*" + QUIT, ""))


@on_one_board
@pytest.mark.parametrize(("before", "added"), USES.values(), ids=USES)
def test_other_uses(board: Board, before: str, added: str) -> None:
    """They do not keep WebREPL from being enabled, and still have what they need when it is disabled."""
    assert change(board, "D", before) == (before, [])
    assert change(board, "E", before) == (before + added, [])
    disabled, _ = change(board, "D", before + added)
    assert disabled == before + re.sub(r"^(?=webrepl)", "#", added, flags=re.M)
    assert disabled.count("#webrepl.start()") == 1


@on_one_board
def test_start_beside_unclear_lines(board: Board) -> None:
    """The line that is understood goes; the import stays for the others."""
    before = START + "def f():\n    webrepl.start()\n"
    assert change(board, "D", before) == ("import webrepl\n#webrepl.start()\ndef f():\n    webrepl.start()\n", [4])


@on_one_board
@pytest.mark.parametrize("before", ENABLED.values(), ids=ENABLED)
def test_enable_when_enabled(board: Board, before: str) -> None:
    """Nothing is written twice."""
    assert change(board, "E", before) == (before, [])


@on_one_board
@pytest.mark.parametrize("before", DISABLED.values(), ids=DISABLED)
def test_disable_when_disabled(board: Board, before: str) -> None:
    """What only looks like WebREPL stays."""
    assert change(board, "D", before) == (before, [])


def test_enable_disable_enable(board: Board) -> None:
    """What the wizard has added itself it takes back and adds again."""
    enabled, _ = change(board, "E", "import esp")
    disabled, _ = change(board, "D", enabled)
    assert disabled == "import esp\n#import webrepl\n#webrepl.start()\n"
    assert change(board, "E", disabled)[0] == enabled


def test_long_boot(board: Board) -> None:
    """A boot.py of 5 KB fits in the heap of an ESP8266."""
    before = "".join(f"x{i} = '{'y' * 60}'\n" for i in range(75))
    put(board, boot=before)
    wizard(board, (QUIT, "e"), (NEW, PASSWORD), (REPEAT, PASSWORD), (REBOOT, "n"), end=f"Saved.{PROMPT}")
    assert (board.flash / "boot.py").read_text() == before + START
    assert change(board, "D", before + START)[0] == before + "#import webrepl\n#webrepl.start()\n"
    assert change(board, "E", before + "#import webrepl\n#webrepl.start()\n")[0] == before + START


def test_first_time(board: Board) -> None:
    """A new board has no boot.py and no webrepl_cfg.py."""
    wizard(board, (f"WebREPL is disabled on boot.\r\n.*{QUIT}", ""))
    assert contents(board.flash) == {}
    shown = wizard(board, (QUIT, "E"), (NEW, PASSWORD), (REPEAT, PASSWORD), (REBOOT, "n"))
    assert shown.splitlines()[-1] == "Saved."
    assert contents(board.flash) == {"boot.py": START, "webrepl_cfg.py": CONFIG}


@pytest.mark.parametrize(("boot", "status"), [(START, "enabled"), ("#" + START, "enabled"), ("", "disabled")])
def test_tells_the_status(board: Board, boot: str, status: str) -> None:
    """The wizard begins with how things are; Enter leaves them so."""
    put(board, boot=boot)
    wizard(board, (f"WebREPL is {status} on boot.\r\n.*{QUIT}", ""))
    assert contents(board.flash) == {"boot.py": boot}


def test_reboot(board: Board) -> None:
    """The board restarts when asked to, with the new boot.py."""
    put(board, boot="print('boot' * 2)\n" + START)
    wizard(board, (QUIT, "d"), (REBOOT, "y"), end="bootboot\r\n.*>>> ")
    assert contents(board.flash) == {"boot.py": "print('boot' * 2)\n#import webrepl\n#webrepl.start()\n"}
    wizard(board, (QUIT, ""))


@pytest.mark.parametrize("action", ["E", "D"])
def test_no_reboot_when_nothing_changed(board: Board, action: str) -> None:
    """The last question only comes when there is something to save."""
    put(board, boot=START if action == "E" else "")
    put(board, webrepl_cfg=CONFIG)
    before = contents(board.flash)
    answers = [(QUIT, action), *([(CHANGE, "n")] if action == "E" else [])]
    assert wizard(board, *answers).splitlines()[-1] == "Nothing changed."
    assert contents(board.flash) == before


@pytest.mark.parametrize(
    "answers",
    [
        [(NEW, "abc")],
        [(NEW, "")],
        [(NEW, "0123456789")],
        [(NEW, "abcd"), (REPEAT, "abce")],
        [(NEW, "abcd"), (REPEAT, "")],
    ],
)
def test_password_asked_again(board: Board, answers: list[tuple[str, str]]) -> None:
    """A password that does not do is asked for again, with a reason."""
    wizard(
        board,
        (QUIT, "E"),
        *answers,
        ("Wrong length or unequal.\r\n" + NEW, PASSWORD),
        (REPEAT, PASSWORD),
        (REBOOT, "n"),
    )
    assert contents(board.flash) == {"boot.py": START, "webrepl_cfg.py": CONFIG}


def test_questions_asked_again(board: Board) -> None:
    """Only an answer that was offered counts, in either case."""
    put(board, webrepl_cfg=CONFIG)
    wizard(board, (QUIT, "x"), (QUIT, " e "), (CHANGE, ""), (CHANGE, "N"), (REBOOT, "maybe"), (REBOOT, "N"))
    assert contents(board.flash) == {"boot.py": START, "webrepl_cfg.py": CONFIG}


PASSWORDS = ["abcd", "123456789", "it's", '"quote"', "'\"'\"", "back\\", "\\n\\x41", "%s {}", "a; b#", " sp ce "]


@on_one_board
@pytest.mark.parametrize("password", PASSWORDS)
def test_password_survives(board: Board, password: str) -> None:
    """Whatever can be typed comes back from webrepl_cfg.py."""
    wizard(board, (QUIT, "E"), (NEW, password), (REPEAT, password), (REBOOT, "n"))
    assert ast.literal_eval((board.flash / "webrepl_cfg.py").read_text().removeprefix("PASS = ")) == password
    board.run("import sys; sys.modules.pop('webrepl_cfg', None)")
    assert ast.literal_eval(board.run("import webrepl_cfg; print(repr(webrepl_cfg.PASS))")) == password


@pytest.mark.parametrize(("password", "good"), [("p\xe4ss", True), ("\xe4\xf6\xfc\xdf1", True), ("\u20ac" * 4, False)])
def test_password_bytes(board: Board, password: str, good: bool) -> None:
    """The limit is of bytes; input() of a console takes ASCII only, so this comes another way."""
    said = board.run(
        f"answers = [{password!a}] * 2 + ['abcd'] * 2\n"
        "w.input = lambda prompt: answers.pop(0)\n"
        "try:\n    print(w.input_pass().encode())\nfinally:\n    del w.input\n"
    )
    assert ast.literal_eval(said.splitlines()[-1]).decode() == (password if good else "abcd")


@pytest.mark.parametrize("password", ["secret", "'\"\\#;", "a b c"])
def test_webrepl_takes_the_password(make_board: Callable[..., Board], tmp_path: Path, password: str) -> None:
    """webrepl.start() lets in who has the new password."""
    tmp_path.joinpath("flash").mkdir()
    board = make_board(flash=tmp_path / "flash")
    boot = f"# import webrepl\n# webrepl.start(port={board.port})\n"
    put(board, boot=boot)
    wizard(board, (QUIT, "E"), (NEW, password), (REPEAT, password), (REBOOT, "y"), end="MicroPython .*>>> ")
    with Client(board.port, login=False) as client:
        client.login(password)


# What was there, whether that has a password, what it becomes.
CONFIGS = {
    "missing": (None, False, "PASS = 'new1'\n"),
    "empty": ("", False, "PASS = 'new1'\n"),
    "replaced": ("PASS = 'old1'\n", True, "PASS = 'new1'\n"),
    "no-password": ("PASS = ''\n", False, "PASS = 'new1'\n"),
    "base": ("BASE = \"http://x/\"\nPASS = 'old1'\n", True, "BASE = \"http://x/\"\nPASS = 'new1'\n"),
    "base-only": ('BASE = "http://x/"', False, "BASE = \"http://x/\"\nPASS = 'new1'\n"),
    "crlf": ("PASS = 'old1'\r\nBASE = 1\r\n", True, "PASS = 'new1'\r\nBASE = 1\r\n"),
    "not-utf-8": ("# \xe9\nPASS = 'old1'", True, "# \xe9\nPASS = 'new1'"),
    "comments": ("# PASS = 1\nPASS = 'a;#b'  # mine\nx = 1", True, "# PASS = 1\nPASS = 'new1'  # mine\nx = 1"),
    "one-line": ("PASS = 'a;b'; BASE = 'c'\n", True, "PASS = 'new1'; BASE = 'c'\n"),
    "other-names": ("PASSWORD = MY_PASS = 2\n", False, "PASSWORD = MY_PASS = 2\nPASS = 'new1'\n"),
    "function": ("def f():\n    pass\nPASS = 'old1'\n", True, "def f():\n    pass\nPASS = 'new1'\n"),
    # What is written in another way stays: the last line is the one that counts.
    "quotes": ('PASS="old1"\r\nBASE = 1\r\n', True, "PASS=\"old1\"\r\nBASE = 1\r\nPASS = 'new1'\r\n"),
    "block": ("if 1:\n    PASS = 'a'\n", True, "if 1:\n    PASS = 'a'\nPASS = 'new1'\n"),
    "several-lines": ("PASS = (\n    'a'\n    'b'\n)\n", True, "PASS = (\n    'a'\n    'b'\n)\nPASS = 'new1'\n"),
    "twice": ("PASS = 'a'\nPASS = 'b'\n", True, "PASS = 'a'\nPASS = 'new1'\n"),
    "string": ("x = '''\nPASS = 1\n'''\n", False, "x = '''\nPASS = 1\n'''\nPASS = 'new1'\n"),
}


@on_one_board
@pytest.mark.parametrize(("before", "has_password", "after"), CONFIGS.values(), ids=CONFIGS)
def test_config(board: Board, before: str | None, has_password: bool, after: str) -> None:
    """Only the password is replaced; the wizard asks whether to change it if there is one."""
    config = board.flash / "webrepl_cfg.py"
    put(board, webrepl_cfg=before)
    ask = [(CHANGE, "y")] if has_password else []
    wizard(board, (QUIT, "E"), *ask, (NEW, "new1"), (REPEAT, "new1"), (REBOOT, "n"))
    assert config.read_bytes().decode("latin-1") == after
    assert sorted(path.name for path in board.flash.iterdir()) == ["boot.py", "webrepl_cfg.py"]


def test_broken_config(board: Board) -> None:
    """A webrepl_cfg.py that does not run is left alone, and named."""
    put(board, webrepl_cfg="PASS = 'old1\n")
    shown = wizard(board, (QUIT, "E"))
    assert re.search(r"webrepl_cfg\.py\s+Nothing changed. invalid syntax", shown)
    assert contents(board.flash) == {"webrepl_cfg.py": "PASS = 'old1\n"}


@on_one_board
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (CONFIG, CONFIG + 'BASE = "/"\n'),
        (CONFIG + 'BASE = "http://x/"\n', None),
        (CONFIG + "if 1:\n    BASE = None\n", None),
    ],
)
def test_page_on_the_flash(board: Board, there: bool, before: str, after: str | None) -> None:
    """BASE is set, without a question, if the page is there and nothing else has been chosen."""
    put(board, boot=START)
    put(board, webrepl_cfg=before)
    if there:
        board.write("webrepl_content.js.gz", b"")
    changes = there and after is not None
    wizard(board, (QUIT, "E"), (CHANGE, "n"), *([(REBOOT, "n")] if changes else []))
    said = bytes(board.log).rpartition(b"import webrepl_setup")[2]
    assert (b"BASE added.\r\n" in said) == changes
    assert (board.flash / "webrepl_cfg.py").read_text() == (after if changes else before)


def test_page_and_password(board: Board) -> None:
    """Both are written, to a new file too; disabling writes neither."""
    board.write("webrepl_content.js.gz", b"")
    wizard(board, (QUIT, "E"), (NEW, PASSWORD), (REPEAT, PASSWORD), (REBOOT, "n"))
    assert (board.flash / "webrepl_cfg.py").read_text() == CONFIG + 'BASE = "/"\n'
    put(board, webrepl_cfg=CONFIG)
    wizard(board, (QUIT, "D"), (REBOOT, "n"))
    assert (board.flash / "webrepl_cfg.py").read_text() == CONFIG


QUESTIONS = [(QUIT, "E"), (CHANGE, "y"), (NEW, "new1"), (REPEAT, "new1"), (REBOOT, "y")]


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
@pytest.mark.parametrize("n", range(len(QUESTIONS)))
def test_interrupt_changes_nothing(board: Board, n: int, key: str) -> None:
    """All questions come before the first write."""
    put(board, boot="x = 1\n")
    put(board, webrepl_cfg=CONFIG)
    before = contents(board.flash)
    shown = wizard(board, *QUESTIONS[:n], (QUESTIONS[n][0], key))
    assert shown.splitlines()[-1] == "Nothing changed. "
    assert "Traceback" not in shown
    assert contents(board.flash) == before


LONG = "#" + "x" * 2000 + "\n"
OLD = "import esp\n#import webrepl\nx = 1\n#webrepl.start()\nprint('end')\n"
NEW_BOOT = "import esp\nimport webrepl\nx = 1\nwebrepl.start()\nprint('end')\n"


def solid(text: str) -> str:
    """Return the text without empty lines: on FAT, a file grows by them before it is overwritten, and never shrinks."""
    return "".join(line + "\n" for line in text.splitlines() if line)


CHANGES = {
    "enable": ("E", OLD, NEW_BOOT),
    "disable": ("D", NEW_BOOT, OLD),
    "append": ("E", "x = 1", "x = 1\n" + START),
    "append-sector": ("E", "#" + "x" * 490 + "\n", "#" + "x" * 490 + "\n" + START),
    "append-long": ("E", LONG, LONG + START),
    "disable-long": ("D", LONG + "x" * 40 + "=1\n" + NEW_BOOT, LONG + "x" * 40 + "=1\n" + OLD),
    "new": ("E", None, START),
}


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
def format(fs, files, blocks=128):
    disk = Disk(b'')
    disk.data = bytearray(512 * blocks)
    fs.mkfs(disk)
    mount(disk, fs)
    for name in files:
        with open(name, 'wb') as f:
            f.write(files[name])
    umount()
    return disk.data
def change(action):
    answers = [action, 'n', 'n'] if action == 'E' else [action, 'n']
    w.input = lambda prompt: answers.pop(0)
    w.main()
    del w.input
def cut(fs, old, action):
    files = {'webrepl_cfg.py': b"PASS = 'secret'"}
    if old is not None:
        files['boot.py'] = old
    image = format(fs, files)
    blocks = 0
    done = False
    while not done:
        disk = Disk(image, blocks)
        mount(disk, fs)
        try:
            change(action)
            done = disk.blocks > 0
        except OSError:
            pass
        umount()
        disk = Disk(disk.data)
        mount(disk, fs)
        left = read('boot.py') if w.exists('boot.py') else None
        change(action)
        print((blocks, left, read('boot.py'), os.listdir()))
        umount()
        blocks += 1
        gc.collect()
"""


@on_one_board
@pytest.mark.parametrize("fs", ["VfsFat", "VfsLfs2"])
@pytest.mark.parametrize(("action", "old", "new"), CHANGES.values(), ids=CHANGES)
def test_power_cut_on_a_file_system(board: Board, fs: str, action: str, old: str | None, new: str) -> None:
    """With the file systems of boards, cut before each block that they write: the old or the new boot.py is there."""
    board.run(DISK)
    said = board.run(f"cut(os.{fs}, {old and old.encode()!r}, {action!r})", timeout=60)
    # A file that the power cut left open may complain when it is collected.
    rows = [ast.literal_eval(line) for line in said.splitlines() if line.startswith("(")]
    assert len(rows) > 3
    for _, left, last, names in rows:
        if old is None:
            assert left in (None, new.encode())
        elif fs == "VfsLfs2":
            assert left.decode() in (old, new)
        else:
            assert solid(left.decode()) in (solid(old), solid(new))
            assert len(left) >= min(len(old), len(new))
        assert last.decode() == new if fs == "VfsLfs2" else solid(last.decode()) == solid(new)
        assert sorted(names) == ["boot.py", "webrepl_cfg.py"]
    assert {row[1] and solid(row[1].decode()) for row in rows} == {old and solid(old), solid(new)}


@on_one_board
@pytest.mark.parametrize("old", ["PASS = 'old'\nBASE = 1\n", "# PASS\n"])
@pytest.mark.parametrize("fs", ["VfsFat", "VfsLfs2"])
def test_power_cut_in_config(board: Board, fs: str, old: str) -> None:
    """webrepl_cfg.py is written as carefully as boot.py: by the same function."""
    new = old.replace("old", "longer") if "old" in old else old + "PASS = 'longer'\n"
    board.run(DISK + "def change(action):\n    w._save('boot.py', [action])\n")
    said = board.run(f"cut(os.{fs}, {old.encode()!r}, {new.encode()!r})", timeout=60)
    rows = [ast.literal_eval(line) for line in said.splitlines() if line.startswith("(")]
    assert {solid(left.decode()) for _, left, _, _ in rows} == {solid(old), solid(new)}


@on_one_board
def test_fat_too_long(board: Board) -> None:
    """On FAT, what more than one sector would have to change for, in no single step, is left to the owner."""
    board.run(DISK)
    old = (NEW_BOOT + LONG).encode()
    board.run(f"disk = Disk(format(os.VfsFat, {{'boot.py': {old!r}}}))\nmount(disk, os.VfsFat)")
    try:
        shown = wizard(board, (QUIT, "D"), (REBOOT, "y"))
        assert shown.splitlines()[-1] == "boot.py not changed. Change it by hand."
        assert ast.literal_eval(board.run("print({n: read(n) for n in os.listdir()})")) == {"boot.py": old}
    finally:
        board.run("umount()")


def test_full_flash(board: Board) -> None:
    """Nothing is lost, and the message says what is wrong."""
    fill_flash(board, "VfsLfs2", blocks=32)


@on_one_board
def test_full_fat(board: Board) -> None:
    """The same on FAT, which the emulated boards do not have."""
    fill_flash(board, "VfsFat", blocks=128)


def fill_flash(board: Board, fs: str, blocks: int) -> None:
    """Try to enable WebREPL, and to change the password, on a full flash; then with space again."""
    board.run(DISK)
    # littlefs finds a place for small files even then.
    more = "#" + "x" * 600 + "\n"
    files = {"boot.py": (more + OLD).encode(), "webrepl_cfg.py": (more + CONFIG).encode()}
    board.run(
        f"disk = Disk(b'')\ndisk.data = format(os.{fs}, {files!r}, {blocks})\nmount(disk, os.{fs})\n"
        "n, size = 0, 1 << 11\n"
        "while size:\n"
        "    try:\n"
        "        with open(f'full{n}', 'wb') as f:\n            f.write(bytes(size))\n"
        "        n += 1\n"
        "    except OSError:\n        size //= 2\n",
        timeout=30,
    )
    try:
        shown = wizard(board, (QUIT, "E"), (CHANGE, "n"), (REBOOT, "y"))
        assert shown.splitlines()[-1] == "boot.py not changed. No space."
        shown = wizard(board, (QUIT, "E"), (CHANGE, "y"), (NEW, "new1"), (REPEAT, "new1"), (REBOOT, "y"))
        assert shown.splitlines()[-1] == "Nothing changed. No space."
        assert ast.literal_eval(board.run("print({n: read(n) for n in os.listdir() if n[:4] != 'full'})")) == files
        board.run("os.remove('full0')")
        wizard(board, (QUIT, "E"), (CHANGE, "n"), (REBOOT, "n"))
        assert ast.literal_eval(board.run("print(read('boot.py'))")).decode().rstrip() == more + NEW_BOOT.rstrip()
    finally:
        board.run("umount(); del disk")


def test_asks_again_at_the_next_import(board: Board) -> None:
    """What is imported already would not run again."""
    for _ in range(2):
        wizard(board, (QUIT, ""))
