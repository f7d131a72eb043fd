#!/usr/bin/env python3
"""micropython [-X heapsize=N] [-m board]: boot the emulated board, with the current folder as its flash.

Its serial console is stdin and stdout. What it writes is in the folder at once; what is written into the folder
meanwhile it sees when it starts again, by a soft reset or machine.reset().

Each TCP port that boot.py or main.py names, by a number of 1024 to 65535, is forwarded from BOARD_HOST, or else
127.0.0.1; so are those of the environment's BOARD_PORT, separated by spaces. BOARD_FLASH is how large the file system
is, BOARD_QEMU more arguments for QEMU, and BOARD_NETDEV more options of its network, -netdev user,id=net.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import socket
import struct
import sys
import termios
from pathlib import Path

BUILD = Path(__file__).resolve().parent
# The machine's PSRAM. The file system is at its start, twice: see flash_image.c.
MEMORY = 16 << 20
# Its last page: see host.h.
CONFIG = "<4sII1000s1000s1000s"
CONFIG_AT = 0xFFF000
MAGIC = b"BRD1"
# The board's address in QEMU's network.
ADDRESS = "10.0.2.15"
WEBREPL_PORT = 8266


def size(text: str) -> int:
    """Return the bytes that a number means, with or without k or M behind it."""
    match = re.fullmatch(r"(\d+)([kKmM]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"no size: {text}")
    return int(match[1]) << {"": 0, "k": 10, "m": 20}[match[2].lower()]


def heap_size(text: str) -> int:
    """Return the bytes that heapsize=N means."""
    name, _, value = text.partition("=")
    if name != "heapsize":
        raise argparse.ArgumentTypeError(f"no such option: {text}")
    return size(value)


def named_ports() -> set[int]:
    """Return the TCP ports that boot.py and main.py name."""
    text = "\n".join(Path(name).read_text(errors="replace") for name in ("boot.py", "main.py") if Path(name).exists())
    ports = {int(number) for number in re.findall(r"\b[1-9]\d{3,4}\b", text)}
    if re.search(r"\bwebrepl\.start(_foreground)?\((?![^)]*\d{4})", text):
        ports.add(WEBREPL_PORT)
    return {port for port in ports if 1024 <= port < 65536}


def is_free(host: str, port: int) -> bool:
    """Tell if the port can be listened on."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, port))
        except OSError:
            return False
    return True


def forwarded() -> str:
    """Return the options of QEMU's network for the ports to forward."""
    host = os.environ.get("BOARD_HOST", "127.0.0.1")
    asked = {int(port) for port in os.environ.get("BOARD_PORT", "").split()}
    # A number need not be a port. QEMU would give up for one that is taken, which is right for what was asked for.
    ports = asked | {port for port in named_ports() if is_free(host, port)}
    return "".join(f",hostfwd=tcp:{host}:{port}-{ADDRESS}:{port}" for port in sorted(ports))


def memory(heap: int) -> int:
    """Return a file for QEMU to have as PSRAM: a descriptor, which it and what it calls inherit."""
    flash = size(os.environ.get("BOARD_FLASH", "4M"))
    fd = os.memfd_create("board", 0)
    os.truncate(fd, MEMORY)
    image = [str(flash), str(Path.cwd())]
    commands = [
        shlex.join([str(BUILD / "flash_image"), "pack", f"/proc/self/fd/{fd}", *image]),
        shlex.join([str(BUILD / "flash_image"), "unpack", f"/proc/self/fd/{fd}", *image]),
        shlex.join(["arm-none-eabi-addr2line", "-a", "-f", "-p", "-s", "-e", str(BUILD / "firmware.elf")]),
    ]
    if max(map(len, commands)) >= 1000:
        sys.exit("The flash's path is too long")
    os.pwrite(fd, struct.pack(CONFIG, MAGIC, heap, flash, *(command.encode() for command in commands)), CONFIG_AT)
    return fd


def main() -> None:
    """Boot the board."""
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-X", type=heap_size, default=0, dest="heap")
    parser.add_argument("-m", choices=["board"])
    options = parser.parse_args()
    if os.isatty(0):
        # QEMU sets OPOST, which alone would make \r\n of each \n.
        attributes = termios.tcgetattr(0)
        attributes[1] = 0
        # Ctrl-C is for the board; Ctrl-\, where the terminal has such keys, ends QEMU as Ctrl-C would.
        attributes[6][termios.VINTR] = attributes[6][termios.VQUIT]
        attributes[6][termios.VQUIT] = attributes[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(0, termios.TCSANOW, attributes)
    network = f"user,id=net,ipv6=off,restrict=on{os.environ.get('BOARD_NETDEV', '')}{forwarded()}"
    command = f"""
        qemu-system-arm -machine mps2-an385,memory-backend=psram -display none -monitor none
        -object memory-backend-file,id=psram,size={MEMORY},mem-path=/proc/self/fd/{memory(options.heap)},share=on
        -kernel {shlex.quote(str(BUILD / "firmware.elf"))} -semihosting-config enable=on,target=native
        -chardev stdio,id=uart,signal=on -serial chardev:uart
        -netdev {shlex.quote(network)} -net nic,model=lan9118,netdev=net
        {os.environ.get("BOARD_QEMU", "")}
    """
    arguments = shlex.split(command)
    os.execvp(arguments[0], arguments)


if __name__ == "__main__":
    main()
