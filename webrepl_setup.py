# Set up WebREPL: import webrepl_setup asks, and writes boot.py and webrepl_cfg.py.
# MIT license; Copyright (c) 2026 the WebREPL authors

import io
import os
import sys

from micropython import const

RC = "./boot.py"
CONFIG = "./webrepl_cfg.py"

_ENOENT = const(2)
_ENOSPC = const(28)
_ENAMETOOLONG = const(36)  # what littlefs says when a directory has no room for one more name

# What a line of boot.py does.
_IMPORT = const(1)
_START = const(2)
_OTHER = const(4)

_DEEP = const(99)


def input_choice(prompt: str, choices: tuple) -> str:
    """Ask until the answer is one of choices, in either case; return the choice."""
    while True:
        answer = input(prompt).strip().lower()
        for choice in choices:
            if answer == choice.lower():
                return choice


def getpass(prompt: str) -> str:
    """Ask for a password. It is echoed: on a serial line that shows what arrived."""
    return input(prompt)


def input_pass() -> str:
    """Ask for a new password, twice, until it is one that the firmware takes: _webrepl.password() has 9 bytes."""
    while True:
        password = getpass("New password (4 to 9 characters): ")
        if len(password) < 4:
            print("Too short: 4 characters at least.")
        elif len(password.encode()) > 9:
            print("Too long: 9 bytes at most.")
        elif min(password) < " " or "\x7f" in password:
            print("No control characters, please.")
        elif password != getpass("Repeat it: "):
            print("They differ.")
        else:
            return password


def exists(fname: str) -> bool:
    """Return whether there is such a file."""
    try:
        os.stat(fname)
        return True
    except OSError:
        return False


def get_daemon_status() -> bool:
    """Return whether boot.py starts WebREPL."""
    with _open(RC) as f:
        return _survey(f)[0]


def change_daemon(action: str) -> bool:
    """Make boot.py start WebREPL (action "E") or not (action "D"); return whether it had to be changed."""
    return _update(RC, _edit_boot, action, False) and _update(RC, _edit_boot, action, True)


def main() -> None:
    """Ask everything, then write."""
    name = CONFIG
    try:
        _repair(CONFIG)
        name = RC
        _repair(RC)
        print("WebREPL is", "enabled" if get_daemon_status() else "disabled", "on boot.")
        action = input_choice("(E)nable it, (D)isable it, or Enter to quit: ", ("E", "D", ""))
        if not action:
            return
        password = None
        if action == "E" and (
            not _update(CONFIG, _edit_config, b"", False)
            or input_choice("Change the password? (y/n) ", ("y", "n")) == "y"
        ):
            password = input_pass()
        if not password and not _update(RC, _edit_boot, action, False):
            print("Nothing to change.")
            return
        reboot = input_choice("Reboot now, once saved? (y/n) ", ("y", "n"))
        # The password goes first: WebREPL must not start without one.
        if password:
            name = CONFIG
            _update(CONFIG, _edit_config, b"PASS = " + repr(password).encode(), True)
        name = RC
        change_daemon(action)
        print("Saved. It takes effect at the next boot.")
        if reboot == "y":
            import machine

            machine.reset()
    except (KeyboardInterrupt, EOFError):
        print("\nNothing changed.")
    except OSError as e:
        print(name, "is as it was:", "no space left." if e.errno in (_ENOSPC, _ENAMETOOLONG) else e)


# An edit reads f and writes what it is to be; it is called with write=len to hear only what it would return.


def _edit_boot(f, write, eol: bytes, action: str) -> bool:
    """Enable or disable WebREPL in a boot.py; return whether that changes it."""
    started, imported, used = _survey(f)
    f.seek(0)
    changed = opened = False
    level = _DEEP  # the indent of the outermost import so far
    block = b""  # the indent of the last statement
    line = eol
    for line, code, inner in _lines(f):
        new = line
        stripped = code.strip()
        if not inner:
            indent = code[: len(code) - len(code.lstrip())]
            does = _parse(code)
            call = _call(code)
            if action == "D":
                if does == _START or (does < _OTHER and does and not used):
                    # A block must not lose its only statement.
                    new = indent + (b"pass  # " if indent else b"#") + line[len(indent) :]
                elif call > 0:
                    # There is more in that line, or in the next one.
                    new = line[: call - 1] + b"False and " + line[call - 1 :]
            elif call < 0 and not started:
                new = line[: -call - 11] + line[-call - 1 :]
                started = True
            elif stripped in (b"", b"pass"):
                comment = line[len(code) :].lstrip(b"#")
                text = comment.lstrip()
                does = _parse(_code(text, b"")[0])
                if does >= _OTHER or (started if does & _START else imported):
                    does = 0
                if does:
                    if not stripped:
                        indent = _indent(f, block, opened, (indent, comment[: -len(text)]))
                    new = indent + text
                    if does == _START and level > len(indent):
                        new = indent + b"import webrepl" + eol + new
                    started = started or (does & _START) > 0
                    imported = True
            if does & _IMPORT:
                level = min(level, len(indent))
            if stripped or new != line:
                block = indent
        if stripped:
            opened = stripped.endswith(b":")
        changed = changed or new != line
        write(new)
    if action == "D" or started:
        return changed
    if not line.endswith(b"\n"):
        write(eol)
    if level:
        write(b"import webrepl" + eol)
    write(b"webrepl.start()" + eol)
    return True


def _edit_config(f, write, eol: bytes, assignment: bytes) -> bool:
    """Set the password in a webrepl_cfg.py; return whether there was one."""
    found = skip = False
    line = eol
    for line, code, inner in _lines(f):
        skip = skip and inner  # the rest of a value of several lines
        if not inner and code.split(b"=")[0].strip() == b"PASS":
            found = skip = True
            end = code.find(b";")
            write(code[: code.find(b"P")] + assignment + line[end if end > 0 else len(code.rstrip()) :])
        elif not skip:
            write(line)
    if not found:
        if not line.endswith(b"\n"):
            write(eol)
        write(assignment + eol)
    return found


def _survey(f) -> tuple:
    """Return whether a boot.py calls webrepl.start(), imports webrepl, uses webrepl for something else too."""
    started = imported = used = False
    for _, code, inner in _lines(f):
        does = _OTHER if inner else _parse(code)
        started = started or (not inner and _call(code) > 0)
        imported = imported or (does & _IMPORT) > 0
        used |= does >= _OTHER and b"webrepl." in code
    return started, imported, used


def _parse(code: bytes) -> int:
    """Return whether code makes webrepl known (_IMPORT), starts it (_START), does something else (_OTHER)."""
    does = 0
    for statement in code.split(b";"):
        statement = statement.strip()
        words = statement.replace(b",", b" ").split()
        if words[:1] == [b"import"] and b"webrepl" in words and b"as" not in words:
            does |= _IMPORT if len(words) == 2 else _IMPORT | _OTHER
        elif words:
            does |= _START if _call(statement) == 1 and statement.endswith(b")") else _OTHER
    return does


def _call(code: bytes) -> int:
    """Return the column, from 1, where code calls webrepl.start() or start_foreground(); negative if that is off."""
    at = code.find(b"webrepl.start")
    name, bracket, _ = code[at + 13 :].partition(b"(")
    if at < 0 or code[:at][-1:] not in b" \t;:=(," or not bracket or name.strip() not in (b"", b"_foreground"):
        return 0
    return ~at if code[:at].endswith(b"False and ") else at + 1


def _indent(f, block: bytes, opened: bool, own: tuple) -> bytes:
    """Return the indent with which a comment can become a statement: that of the block before it or after it."""
    if not opened and block in own:
        return block
    here = f.tell()
    line = b"#"
    while line.strip().startswith(b"#") or (line and not line.strip()):
        line = f.readline()
    f.seek(here)
    text = line.lstrip()
    if not opened and text.startswith((b"el", b"except", b"finally")):
        return block
    return line[: len(line) - len(text)]


def _lines(f):
    """Yield each line of Python: as it is, its code (see _code()), and whether it continues a statement."""
    quote = b""
    depth = 0
    inner = False
    for line in f:
        code, quote = _code(line, quote)
        yield line, code, inner
        for c in code:
            depth += (c in b"([{") - (c in b")]}")
        inner = quote or depth > 0 or code.rstrip().endswith(b"\\")


def _code(line: bytes, quote: bytes) -> tuple:
    """Return line up to its comment, strings blanked, and the quotes of a string that goes on in the next line."""
    code = b""
    while len(code) < len(line):
        rest = line[len(code) :]
        c = rest[:1]
        if quote:
            if rest.startswith(quote):
                c = quote
                quote = b""
            elif c == b"\\":
                c = rest[:2]
            code += b"_" * len(c)
        elif c in b"\"'":
            quote = c * 3 if rest.startswith(c * 3) else c
            code += b"_" * len(quote)
        elif c == b"#":
            break
        else:
            code += c
    return code, quote if len(quote) == 3 else b""


# A file must never be missing or half written, wherever the power goes. So it is written as NAME.tmp, then:
# - littlefs: rename replaces NAME in one step.
# - FAT: MicroPython's rename removes NAME first, which would leave a moment without it. What is only added to NAME is
#   appended: that counts when the directory is written. Else NAME gets empty lines, until it is as long as what is to
#   come; NAME.tmp becomes NAME.new, which says that it is complete; its text is written over NAME's in one go, without
#   truncating it. That is one write of one sector, if NAME fits in that. A longer NAME can be cut between two sectors;
#   the wizard then finds NAME.new, and repairs it.


def _open(name: str):
    try:
        return open(name, "rb")
    except OSError as e:
        if e.errno != _ENOENT:
            raise
        return io.BytesIO()


def _read(name: str) -> bytes:
    with open(name, "rb") as f:
        return f.read()


def _update(name: str, edit, arg, save: bool) -> bool:
    """Edit a file if save is true; return what edit returns."""
    tmp = name + ".tmp"
    try:
        with _open(name) as f:
            eol = b"\r\n" if f.readline().endswith(b"\r\n") else b"\n"
            f.seek(0)
            if not save:
                return edit(f, len, eol, arg)
            with open(tmp, "wb") as out:
                result = edit(f, out.write, eol, arg)
        if not _rename(tmp, name):
            old = _read(name)
            text = _read(tmp)
            with open(name, "ab") as out:
                out.write(text[len(old) :] if text.startswith(old) else b"\n" * (len(text) - len(old)))
            os.rename(tmp, name + ".new")
            _repair(name)
        return result
    except OSError:
        _repair(name)
        raise


def _rename(old: str, name: str) -> bool:
    """Rename if that is one step; return whether it was."""
    # Only FAT knows a file by its name in capitals too.
    if exists(name) and exists(old.upper()):
        return False
    try:
        os.rename(old, name)
        return True
    except OSError:
        return False


def _repair(name: str) -> None:
    """Finish what was interrupted."""
    new = name + ".new"
    if exists(new) and not _rename(new, name):
        text = _read(new)
        text += b"\n" * (len(_read(name)) - len(text))
        with open(name, "r+b") as f:
            f.write(text)
        os.remove(new)
    if exists(name + ".tmp"):
        os.remove(name + ".tmp")


main()
# The next import is to ask again.
sys.modules.pop(__name__, None)
