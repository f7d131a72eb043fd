"""patch.py TREE: cure faults of extmod/modlwip.c, so that tests can go on where the firmware as it is would crash.

TREE is a copy of MicroPython's source. Each patch must apply, or nothing is built.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

# Why, in which function, what is replaced there, each time that it occurs, and by what.
PATCHES = (
    (
        "accept() gives a socket whose connection has been reset already, and then reads its address",
        "lwip_socket_accept",
        r"tcp_accepted\(listener\);",
        r"ip_addr_t peer = socket2->pcb.tcp->remote_ip; u16_t peer_port = socket2->pcb.tcp->remote_port; \g<0>",
    ),
    ("the same", "lwip_socket_accept", r"socket2->pcb\.tcp->remote_port;\n", "peer_port;\n"),
    ("the same", "lwip_socket_accept", r"&socket2->pcb\.tcp->remote_ip\b", "&peer"),
    (
        "setsockopt() writes into a connection that has been reset",
        "lwip_socket_setsockopt",
        r"switch \(opt\)",
        r"lwip_socket_check_connected(socket); \g<0>",
    ),
    (
        "a send that has looked at the connection looks again when it has it for itself",
        "lwip_tcp_send",
        r"MICROPY_PY_LWIP_(RE)?ENTER\b",
        r"\g<0> STREAM_ERROR_CHECK_WITH_LOCK(socket)",
    ),
    (
        "so does a receive",
        "lwip_tcp_receive",
        r"MICROPY_PY_LWIP_ENTER\b",
        r"\g<0> STREAM_ERROR_CHECK_WITH_LOCK(socket)",
    ),
    (
        "close() of a listening socket writes past the end of what lwIP has for it",
        "lwip_socket_ioctl",
        r"tcp_(err|recv)\(socket->pcb\.tcp, NULL\);",
        r"if (socket->pcb.tcp->state != LISTEN) { \g<0> }",
    ),
    (
        "it passes over some of the connections that nobody has accepted, for which it is called when it is gone",
        "lwip_socket_free_incoming",
        r"tcp_poll\(tcp_array\[i\], NULL, 0\);",
        r"\g<0> tcp_err(tcp_array[i], NULL);",
    ),
)


def patch(text: str, function: str, old: str, new: str) -> str:
    """Return the source text with a pattern replaced in a function; exit if it is not there."""
    head, found, body = re.split(rf"(\nstatic [^\n;]*\b{function}\([^\n;]*\) \{{\n)", text, maxsplit=1)
    body, end, tail = body.partition("\n}\n")
    body, count = re.subn(old, new, body)
    if not count:
        sys.exit(f"patch.py: {function}() has no {old}: this MicroPython is not the one that the patch is for")
    return head + found + body + end + tail


def main() -> None:
    """Patch the tree."""
    path = Path(sys.argv[1]) / "extmod" / "modlwip.c"
    text = path.read_text()
    for _, function, old, new in PATCHES:
        text = patch(text, function, old, new)
    # It may be a link to the source as it is.
    path.unlink()
    path.write_text(text)


if __name__ == "__main__":
    main()
