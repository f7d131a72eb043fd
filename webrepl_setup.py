# Set up WebREPL: import webrepl_setup asks, and writes boot.py and webrepl_cfg.py.
# MIT license; Copyright (c) 2026 the WebREPL authors

import os
import sys


def input_choice(prompt: str, choices: tuple) -> str:
    """Ask until the answer, in capitals, is one of choices; return it."""
    while True:
        answer = input(prompt).strip().upper()
        if answer in choices:
            return answer


def input_pass() -> str:
    """Ask for a new password, twice, until it is one that the firmware takes: _webrepl.password() has 9 bytes."""
    while True:
        password = input("New password (4 to 9 characters): ")
        if len(password.encode()) in range(4, 10) and password == input("Repeat it: "):
            return password
        print("Wrong length, or unequal.")


def exists(fname: str) -> bool:
    """Return whether there is such a file."""
    try:
        os.stat(fname)
        return True
    except OSError:
        return False


def main() -> None:
    """Ask everything, then write."""
    name = "All"
    try:
        boot = _read("boot.py")
        state, enabled, disabled = _plan(boot)
        print("WebREPL is", state, "on boot.")
        action = input_choice("(E)nable it, (D)isable it, or Enter to quit: ", ("E", "D", ""))
        if not action:
            return
        new, config = disabled, _read("webrepl_cfg.py")
        if action == "E":
            new, config = enabled, _set_password()
        if new == boot and config == _read("webrepl_cfg.py"):
            print("No change.")
            return
        reboot = input_choice("Reboot now, once saved? (y/n) ", ("Y", "N"))
        # The password goes first: WebREPL must not start without one.
        _save("webrepl_cfg.py", config)
        name = "boot.py"
        _save("boot.py", new)
    except BaseException as e:
        print("\n" + name, "unchanged:", "no space" if 28 in e.args or 36 in e.args else e)
        return
    print("Saved.")
    if reboot == "Y":
        import machine

        machine.reset()


def _plan(lines: list) -> tuple:
    """Return whether a boot.py starts WebREPL, and the lines with which it does, and does not."""
    # A letter for each line: i imports webrepl, s starts it, u is unclear; capitals are commented out. From the end,
    # where no string is open, to know what follows: before an indented line, or else and the like, nothing comes in.
    kinds = ""
    quotes, safe = 0, True
    for line in reversed(lines):
        quotes += line.count(b'"""') + line.count(b"'''")
        comment = line[0] == 35
        code = (line.lstrip(b"# ") if comment else line).split(b"#")[0].rstrip()
        kind = "-"
        if b"webrepl" in code.replace(b"webrepl_", b""):
            kind = "u"
            if quotes & 1:
                pass
            elif code == b"import webrepl":
                kind = "i"
            elif code.startswith(b"webrepl.start") and code.endswith(b")") and code.count(b"(") == 1:
                kind = "s"
        if comment:
            kind = kind.upper() if safe else "-"
        elif code:
            safe = code[0] > 32 and code[:2] not in b"exelfi"
        if kind == "u":
            print("Line", len(lines) - len(kinds), "edit by hand", line)
        kinds = kind + kinds
    enabled, disabled = lines[:], lines[:]
    for i, kind in enumerate(kinds):
        if kind in ("s" if "u" in kinds else "is"):  # what else uses webrepl needs the import
            disabled[i] = b"#" + lines[i]
    first = kinds.lower().find("i")
    second = kinds.find("S", first)
    state = "enabled" if "s" in kinds else "maybe enabled" if "u" in kinds else "disabled"
    if state != "disabled":
        pass
    elif first in range(second):
        for i in (first, second):
            enabled[i] = lines[i].lstrip(b"# ")
    else:
        if "i" not in kinds:
            _add(enabled, b"import webrepl")
        _add(enabled, b"webrepl.start()")
    return state, enabled, disabled


def _add(lines: list, text: bytes) -> None:
    eol = b"\r\n" if lines and b"\r" in lines[0] else b"\n"
    if lines and not lines[-1].endswith(b"\n"):
        lines.append(eol)
    lines.append(text + eol)


def _set_password() -> list:
    """Return the lines of webrepl_cfg.py with a password."""
    print("webrepl_cfg.py")
    lines = _read("webrepl_cfg.py")
    names: dict = {}
    exec(b"".join(lines), names)
    if "PASS" not in names or input_choice("Change the password? (y/n) ", ("Y", "N")) == "Y":
        names["PASS"] = password = input_pass()
        new = b"PASS = " + repr(password).encode()
        for i, line in enumerate(lines):
            if line.startswith(b"PASS"):
                lines[i] = line.replace(line.rstrip(), new)
                break
        else:
            _add(lines, new)
    if "BASE" not in names and exists("webrepl_content.js.gz"):
        names["BASE"] = "/"
        _add(lines, b'BASE = "/"')
        print(lines[-1])
    # It must run, and nothing else be another.
    check: dict = {}
    exec(b"".join(lines), check)
    if check != names:
        raise ValueError("PASS", "edit by hand")
    return lines


def _read(name: str) -> list:
    if not exists(name):
        return []
    with open(name, "rb") as f:
        return list(f)


def _save(name: str, lines: list) -> None:
    """Write a file so that it is the old or the new one wherever the power goes."""
    if lines == _read(name):
        return
    path, mode = name + ".tmp", "wb"
    # FAT, which knows names in capitals too, removes a file before another gets its name (extmod/vfs_fat.c).
    if exists(name.upper()):
        if not os.statvfs(name)[3]:
            raise OSError(28)
        path, mode = name, "r+b"
        old, new = b"".join(_read(name)), b"".join(lines)
        if not new.startswith(old):
            # A sector is written as a whole, so only the last one may change, and the length before.
            new += b"\n" * (len(old) - len(new))
            last = len(new) - 1 & -512
            if new[:last] != old[:last]:
                raise ValueError("edit by hand")
            with open(name, "ab") as f:
                f.write(b"\n" * (len(new) - len(old)))
        lines = [new]
    with open(path, mode) as f:
        for line in lines:
            f.write(line)
    if path != name:
        os.rename(path, name)


main()
sys.modules.pop(__name__, None)  # the next import is to ask again
