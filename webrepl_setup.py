# Set up WebREPL: import webrepl_setup asks, and writes boot.py and webrepl_cfg.py.
# MIT license; Copyright (c) 2026 the WebREPL authors

import os
import sys

import machine


def main() -> None:
    """Ask everything, then write."""
    what = "Nothing"
    try:
        boot = _read("boot.py")
        config = _read("webrepl_cfg.py")
        before = boot + config
        kinds = _kinds(boot)
        state = "enabled" if b"webrepl.start()" in kinds else "maybe enabled" if b"maybe" in kinds else "disabled"
        print("WebREPL is", state, "on boot.")
        action = input_choice("(E)nable it, (D)isable it, or Enter to quit: ", ("E", "D", ""))
        if not action:
            return
        if action == "E":
            _setup(config)
            if state == "disabled":
                _enable(boot, kinds)
        else:
            used = b"use" in kinds or b"maybe" in kinds
            for i, kind in enumerate(kinds):
                if kind == b"webrepl.start()" or (kind == b"import webrepl" and not used):
                    boot[i] = b"#" + boot[i]
        if boot + config == before:
            print(what, "changed.")
            return
        reboot = input_choice("Reboot now, once saved? (y/n) ", ("Y", "N"))
        # The password goes first: WebREPL must not start without one.
        _save("webrepl_cfg.py", config)
        what = "boot.py not"
        _save("boot.py", boot)
    except BaseException as e:  # Ctrl-C and Ctrl-D, too; 36 is littlefs with no room for a name
        print("\n" + what, "changed.", "No space." if 28 in e.args or 36 in e.args else e)
        return
    print("Saved.")
    if reboot == "Y":
        machine.reset()


def input_choice(text: str, valid: tuple) -> str:
    """Ask until the answer, in capitals, is valid; return it."""
    while True:
        answer = input(text).strip().upper()
        if answer in valid:
            return answer


def input_pass() -> str:
    """Ask for a new password, twice, until it is one that the firmware takes: _webrepl.password() has 9 bytes."""
    while True:
        password = input("New password (4 to 9 characters): ")
        if len(password.encode()) in range(4, 10) and password == input("Repeat it: "):
            return password
        print("Wrong length or unequal.")


def exists(name: str) -> bool:
    """Return whether there is such a file."""
    try:
        return bool(os.stat(name))
    except OSError:
        return False


def _read(name: str) -> list:
    """Return the lines of a file; none if there is no such file."""
    if not exists(name):
        return []
    with open(name, "rb") as f:
        return list(f)


def _kinds(lines: list) -> list:
    """Return what each line of a boot.py is: an import or a start (# if commented out), maybe one, or another use."""
    kinds: list = []
    quotes = 0
    for line in lines:
        if quotes & 1:
            line = b" " + line  # in a string, nothing is at the left margin
        comment = line[0] == 35
        code = (line.lstrip(b"# ") if comment else line).split(b"#")[0].rstrip()
        kind = b""
        if code == b"import webrepl":
            kind = code
        elif code.startswith(b"webrepl.start") and code.endswith(b")") and code.count(b"(") == 1:
            kind = b"webrepl.start()"
        if comment:
            kind = b"#" + kind
        else:
            quotes += code.count(b'"""') + code.count(b"'''")
            if not kind and b"webrepl" in code.replace(b"webrepl_", b""):
                kind = b"use"
                if b".start" in code or b" as " in code or b"from " in code:
                    kind = b"maybe"
                    print("Line", len(kinds) + 1, "may start WebREPL:", str(code)[2:-1])
                    print("Change it by hand.")
        kinds.append(kind)
    return kinds


def _enable(lines: list, kinds: list) -> None:
    """Take the # off an import and a start behind it; failing that, add at the end what is missing."""
    texts = [b"import webrepl", b"webrepl.start()"]
    new, i = list(lines), 0
    try:
        for text in texts:
            i = kinds.index(text if text in kinds else b"#" + text, i)
            new[i] = new[i].lstrip(b"# ")
        # Nothing of this runs, but within a block those lines are an error.
        exec(b"if 0:\n " + b" ".join(new))
        lines[:] = new
    except Exception:
        for text in texts:
            if text not in kinds:
                _add(lines, text)


def _add(lines: list, text: bytes) -> None:
    """Add a line, with the line end that the first one has."""
    end = b"\r\n" if lines and b"\r\n" in lines[0] else b"\n"
    if lines and not lines[-1].endswith(b"\n"):
        lines[-1] += end
    lines.append(text + end)


def _setup(lines: list) -> None:
    """Set PASS in the lines of webrepl_cfg.py, and BASE if the page is on the flash."""
    print("webrepl_cfg.py")
    names: dict = {}
    exec(b"".join(lines), names)
    password = names.get("PASS")
    if not password or input_choice("Change the password? (y/n) ", ("Y", "N")) == "Y":
        old = b"PASS = %r" % password
        new = b"PASS = %r" % input_pass()
        for i, line in enumerate(lines):
            if line.startswith(old):
                lines[i] = line.replace(old, new)
                break
        else:
            _add(lines, new)
    if "BASE" not in names and exists("webrepl_content.js.gz"):
        _add(lines, b'BASE = "/"')
        print("BASE added.")


def _save(name: str, lines: list) -> None:
    """Write a file so that it is the old or the new one wherever the power goes."""
    old, new = b"".join(_read(name)), b"".join(lines)
    if new == old:
        return
    path, mode = name + ".tmp", "wb"
    # FAT, which knows names in capitals too, removes a file before another gets its name (extmod/vfs_fat.c).
    if exists(name.upper()):
        path, mode = name, "r+b"
        if not os.statvfs(name)[3]:
            raise OSError(28)
        if not new.startswith(old):
            # A sector is written as a whole, so only the last one may change, and the length before.
            new += b"\n" * (len(old) - len(new))
            last = len(new) - 1 & -512
            if new[:last] != old[:last]:
                raise ValueError("Change it by hand.")
            with open(name, "ab") as f:
                f.write(b"\n" * (len(new) - len(old)))
    with open(path, mode) as f:
        f.write(new)
    if path != name:
        os.rename(path, name)


main()
sys.modules.pop(__name__, None)  # the next import is to ask again
