"""The requests that strangers send: RFC 6455 §4.2.1 and RFC 9112, lawful and not, in any pieces.

The parser runs on one board, as it sees no socket there. Over sockets, all requests are made in each way on an ESP32's
and on lwIP; the other usual boards, which share their sockets with one of these, get each request once.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import re
import socket
from collections.abc import Iterator

import pytest
from board import TIMEOUT, Board, Kind, boot, free_port, write_flash
from client import connect
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
"""RFC 6455 §1.3: its answer is s3pPLMBiTxaQ9kYGzzhZRbK+xOo=."""

OPENING = b"GET / HTTP/1.1\r\nHost: a:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
LAWFUL = OPENING + b"Sec-WebSocket-Key: " + KEY + b"\r\n\r\n"

WEBSOCKET = KEY
PAGE = False
NOT_FOUND = "404 Not Found"
WRONG_VERSION = "426 Upgrade Required\r\nSec-WebSocket-Version: 13"
TOO_LARGE = "431 Too Large"
NOT_HTTP = ""

Outcome = bytes | str | bool | None

REQUESTS: dict[str, tuple[bytes, Outcome]] = {
    # Lawful WebSocket requests.
    "plain": (LAWFUL, WEBSOCKET),
    "lower case names": (
        LAWFUL.replace(b"Sec-WebSocket", b"sec-websocket").replace(b"Upgrade:", b"upgrade:"),
        WEBSOCKET,
    ),
    "upper case names": (LAWFUL.replace(b"Connection:", b"CONNECTION:").replace(b"-Key", b"-KEY"), WEBSOCKET),
    "tokens in any case": (
        LAWFUL.replace(b"websocket\r", b"WebSocket\r").replace(b": Upgrade", b": uPGRADE"),
        WEBSOCKET,
    ),
    "connection as a list": (LAWFUL.replace(b": Upgrade", b": keep-alive, Upgrade"), WEBSOCKET),
    "list without spaces": (LAWFUL.replace(b": Upgrade", b": keep-alive,Upgrade,x"), WEBSOCKET),
    "list in two lines": (LAWFUL.replace(b": Upgrade", b": close\r\nConnection: Upgrade"), WEBSOCKET),
    "upgrade as a list": (LAWFUL.replace(b": websocket", b": h2c, websocket"), WEBSOCKET),
    "no space after colons": (LAWFUL.replace(b": ", b":"), WEBSOCKET),
    "tabs and spaces": (LAWFUL.replace(b": ", b":\t  ").replace(b"\r\n", b" \t\r\n"), WEBSOCKET),
    "bare LF": (LAWFUL.replace(b"\r\n", b"\n"), WEBSOCKET),
    "empty lines before": (b"\r\n\n\r\n" + LAWFUL, WEBSOCKET),
    "no version": (LAWFUL.replace(b"Sec-WebSocket-Version: 13\r\n", b""), WEBSOCKET),
    "key foo": (LAWFUL.replace(KEY, b"foo"), b"foo"),
    "key with colons": (LAWFUL.replace(KEY, b"a:b:c"), b"a:b:c"),
    "another path": (LAWFUL.replace(b" / ", b" /chat?x=1 "), WEBSOCKET),
    "HTTP/1.0": (LAWFUL.replace(b"HTTP/1.1", b"HTTP/1.0"), WEBSOCKET),
    "4 KB of cookies": (LAWFUL.replace(b"Host", b"Cookie: " + b"x" * 4096 + b"\r\nHost"), WEBSOCKET),
    "cookies that look like headers": (
        LAWFUL.replace(b"Host", b"Cookie: " + b"x" * 300 + b"Upgrade: no\r\nHost"),
        WEBSOCKET,
    ),
    "long lines of 127, 128, 129 bytes": (
        LAWFUL.replace(b"Host", b"A: %s\r\nB: %s\r\nC: %s\r\nHost" % (b"x" * 122, b"x" * 123, b"x" * 124)),
        WEBSOCKET,
    ),
    "odd headers": (LAWFUL.replace(b"Host", b"nonsense\r\n:\r\n: x\r\nx:\r\n\xff\x00: \xfe\r\nHost"), WEBSOCKET),
    "what follows is left alone": (LAWFUL + b"\x81\x85abcdefghi", WEBSOCKET),
    # Another version.
    "version 8": (LAWFUL.replace(b": 13", b": 8"), WRONG_VERSION),
    "version 0x13": (LAWFUL.replace(b": 13", b": 0x13"), WRONG_VERSION),
    "version 130": (LAWFUL.replace(b": 13", b": 130"), WRONG_VERSION),
    # Requests for a page.
    "page": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", PAGE),
    "page without headers": (b"GET / HTTP/1.0\r\n\r\n", PAGE),
    "page with a query": (b"GET /?x=1 HTTP/1.1\r\n\r\n", PAGE),
    "HEAD": (b"HEAD / HTTP/1.1\r\n\r\n", PAGE),
    "POST does not upgrade": (LAWFUL.replace(b"GET", b"POST"), PAGE),
    "no key": (OPENING + b"\r\n", PAGE),
    "empty key": (OPENING + b"Sec-WebSocket-Key:\r\n\r\n", PAGE),
    "no upgrade": (LAWFUL.replace(b"Upgrade: websocket\r\n", b""), PAGE),
    "upgrade to something else": (LAWFUL.replace(b": websocket", b": h2c"), PAGE),
    "upgrade to something alike": (LAWFUL.replace(b": websocket", b": websockets"), PAGE),
    "connection without upgrade": (LAWFUL.replace(b": Upgrade", b": keep-alive"), PAGE),
    "connection with something alike": (LAWFUL.replace(b": Upgrade", b": no-upgrade"), PAGE),
    "no connection": (LAWFUL.replace(b"Connection: Upgrade\r\n", b""), PAGE),
    "upgrade in the wrong header": (LAWFUL.replace(b"Connection:", b"X-Connection:"), PAGE),
    "space before the colon": (LAWFUL.replace(b"Upgrade:", b"Upgrade :"), PAGE),
    "folded line": (LAWFUL.replace(b"Upgrade: websocket", b"X: y\r\n Upgrade: websocket"), PAGE),
    # Requests for something else.
    "favicon": (b"GET /favicon.ico HTTP/1.1\r\n\r\n", NOT_FOUND),
    "long path": (b"GET /" + b"x" * 1000 + b" HTTP/1.1\r\n\r\n", NOT_FOUND),
    "path that fills the buffer": (b"GET /" + b"x" * (128 - 5) + b" HTTP/1.1\r\n\r\n", NOT_FOUND),
    "double slash": (b"GET // HTTP/1.1\r\n\r\n", NOT_FOUND),
    "absolute form": (b"GET http://x/ HTTP/1.1\r\n\r\n", NOT_FOUND),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\n\r\n", NOT_FOUND),
    # Too large.
    "10 KB of headers": (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 2000, TOO_LARGE),
    "a line without end": (b"GET / HTTP/1.1\r\nA: " + b"b" * 10000, TOO_LARGE),
    "a path without end": (b"GET /" + b"b" * 10000, TOO_LARGE),
    "empty lines without end": (b"\r\n" * 5000, TOO_LARGE),
    # No HTTP.
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", NOT_HTTP),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", NOT_HTTP),
    "zeros": (b"\0" * 10, NOT_HTTP),
    "lower case method": (b"get / HTTP/1.1\r\n\r\n", NOT_HTTP),
    "space first": (b" GET / HTTP/1.1\r\n\r\n", NOT_HTTP),
    "HTTP/0.9": (b"GET /\r\n\r\n", NOT_HTTP),
    "one word": (b"GET\r\n\r\n", NOT_HTTP),
    "another protocol": (b"DESCRIBE / RTSP/1.0\r\n\r\n", NOT_HTTP),
    "a long word": (b"A" * 200, NOT_HTTP),
    "nothing": (b"", NOT_HTTP),
    "end in the first line": (b"GET / HT", NOT_HTTP),
    "end in a header": (LAWFUL[:-10], NOT_HTTP),
    "end before the last line": (LAWFUL[:-2], NOT_HTTP),
}

PARSER = """
import gc, webrepl
class Stream:
    # What comes of a socket that does not block, in these pieces, and then ends.
    def __init__(self, pieces):
        self.pieces = pieces
        self.rest = b''
        self.written = b''
    def settimeout(self, seconds):
        pass
    def write(self, data):
        self.written += data
    def readline(self, n):
        if not self.rest:
            if not self.pieces:
                return b''
            self.rest = self.pieces.pop(0)
            if not self.rest:
                return None
        end = min(n, self.rest.find(b'\\n') + 1 or n)
        part = self.rest[:end]
        self.rest = self.rest[end:]
        return part
def parse(pieces):
    stream = Stream(pieces)
    for outcome in webrepl._request(stream, 0):
        if outcome is not None:
            return outcome, stream.written, stream.rest + b''.join(stream.pieces)
"""


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """Return a board that parses requests without a socket, so that a failure is the parser's."""
    flash = tmp_path_factory.mktemp("parser")
    write_flash(flash, 0, boot=PARSER)
    with Board(flash) as board:
        board.wait(">>> ")
        yield board


def accept(key: bytes) -> bytes:
    """Return what answers a WebSocket's key: RFC 6455 §4.2.2."""
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def seen(outcome: Outcome) -> tuple[Outcome, bytes]:
    """Return what the parser returns and writes for this outcome: the answer, if it is a WebSocket's key."""
    if not isinstance(outcome, bytes):
        return outcome, b""
    return True, (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept(outcome) + b"\r\n\r\n"
    )


def parse(board: Board, pieces: list[bytes]) -> tuple[tuple[Outcome, bytes], bytes]:
    """Parse a request on the board, an empty piece being where nothing has come yet; return what is left over too."""
    outcome, written, left = eval(board.run(f"print(parse({pieces!r}))"))
    return (outcome, written), left


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """Cut data at these places, with nothing coming in between."""
    places = [0, *sorted(place % (len(data) + 1) for place in at), len(data)]
    return [piece for a, b in itertools.pairwise(places) for piece in (data[a:b], b"")]


@pytest.mark.parametrize("name", REQUESTS)
def test_outcome(parser: Board, name: str) -> None:
    request, outcome = REQUESTS[name]
    assert parse(parser, [request])[0] == seen(outcome)


@pytest.mark.parametrize("name", REQUESTS)
def test_outcome_byte_by_byte(parser: Board, name: str) -> None:
    request, outcome = REQUESTS[name]
    code = f"r = {request[:9000]!r}; print(repr(parse([bytes([c]) if i else b'' for c in r for i in (0, 1)])[:2]))"
    assert eval(parser.run(code)) == seen(outcome)


def test_what_follows_is_not_read(parser: Board) -> None:
    assert parse(parser, [LAWFUL + b"\x81\x85abcd"]) == (seen(WEBSOCKET), b"\x81\x85abcd")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(REQUESTS)), at=st.lists(st.integers(0, 400), max_size=6))
def test_any_pieces_same_outcome(parser: Board, name: str, at: list[int]) -> None:
    request, outcome = REQUESTS[name]
    assert parse(parser, cut(request, at))[0] == seen(outcome)


HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"Upgrade", b"Connection", b"Sec-WebSocket-Key", b"Sec-WebSocket-Version", b"Host", b"X"]),
        st.sampled_from([b"", b" ", b"\t "]),
        st.sampled_from([b"websocket", b"Upgrade", b"keep-alive, upgrade", KEY, b"13", b"12", b"", b"x" * 200]),
        st.sampled_from([b"\r\n", b"\n", b" \r\n"]),
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    line=st.sampled_from([b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"GET /x HTTP/1.1"]),
    headers=HEADERS,
    at=st.lists(st.integers(0, 400), max_size=4),
)
def test_generated_requests(parser: Board, line: bytes, headers: list[tuple[bytes, ...]], at: list[int]) -> None:
    request = line + b"\r\n" + b"".join(a + b":" + b + c + d for a, b, c, d in headers) + b"\r\n"

    def values(name: bytes) -> list[bytes]:
        return [c[: 128 - len(name) - len(b) - 1].strip() for a, b, c, _ in headers if a == name]

    def tokens(name: bytes) -> set[bytes]:
        return {token.strip().lower() for value in values(name) for token in value.split(b",")}

    key = ([b"", *values(b"Sec-WebSocket-Key")])[-1]
    expected: Outcome = PAGE if b" / " in line else NOT_FOUND
    if line[:3] == b"GET" and key and b"websocket" in tokens(b"Upgrade") and b"upgrade" in tokens(b"Connection"):
        expected = key if ([b"13", *values(b"Sec-WebSocket-Version")])[-1] == b"13" else WRONG_VERSION
    assert parse(parser, cut(request, at)) == (seen(expected), b"")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), at=st.lists(st.integers(0, 300), max_size=4))
def test_junk(parser: Board, data: bytes, at: list[int]) -> None:
    whole, left = parse(parser, [data])
    again, left_again = parse(parser, cut(data, at))
    assert again == whole
    # Of what is no HTTP, less may be read if it comes in pieces.
    assert left_again == left if whole[0] != NOT_HTTP else left in left_again


# The same over a socket, to the last byte of the answer.


def answer(board: Board, pieces: list[bytes]) -> bytes:
    """Send a request in pieces, each in a segment of its own; return all that comes back."""
    with connect(board.port) as s:
        data = b""
        try:
            for piece in pieces:
                s.sendall(piece)
            if not pieces:
                # lwIP ports lose an end that comes before accept().
                while board.run("import webrepl; print(len(webrepl._requests))") == "0":
                    pass
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_WR)
            while part := s.recv(4096):
                data += part
        except ConnectionError:
            # The board has closed without reading the rest.
            pass
        return data


def status(data: bytes) -> str:
    """Return the status line of a response, "" if there is none."""
    return data.partition(b"\r\n")[0].decode()


@pytest.fixture(scope="module")
def shared_boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Board]]:
    """Return the boards that all requests are made to, one of each kind."""
    boards: dict[str, Board] = {}
    yield boards
    for board in boards.values():
        board.stop()


@pytest.fixture
def shared(
    shared_boards: dict[str, Board],
    kind: Kind,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Board:
    """Return the board of this kind that all requests are made to."""
    if kind.name not in shared_boards:
        flash, port = tmp_path_factory.mktemp(kind.name), free_port()
        write_flash(flash, port)
        shared_boards[kind.name] = boot(flash, kind, port=port)
        shared_boards[kind.name].wait(">>> ")
    board = shared_boards[kind.name]
    request.node.boards = [board]
    return board


def check_answer(board: Board, name: str, size: int) -> None:
    """Make a request in segments of this size; check what the client gets and what the serial console shows."""
    request, outcome = REQUESTS[name]
    board.skip()
    begin = len(board.text)
    data = answer(board, [request[i : i + size] for i in range(0, len(request), size)])
    if isinstance(outcome, bytes):
        head, _, rest = data.partition(b"\r\n\r\n")
        assert head.split(b"\r\n")[0] == b"HTTP/1.1 101 Switching Protocols"
        assert set(head.lower().split(b"\r\n")[1:]) == {
            b"upgrade: websocket",
            b"connection: upgrade",
            b"sec-websocket-accept: " + accept(outcome).lower(),
        }
        assert accept(outcome) in head
        assert rest.startswith(b"\x81\x0aPassword: ")
        board.wait("dupterm: EOF received, deactivating\r\n")
    elif outcome is PAGE:
        assert status(data) == "HTTP/1.1 200 OK"
        assert b"webrepl_content.js" in data
    elif outcome == TOO_LARGE:
        # Closed with data unread, of which the kernel tells the client with a reset, maybe before the answer.
        assert status(data) in ("", "HTTP/1.1 " + TOO_LARGE)
    elif outcome:
        assert data.startswith(f"HTTP/1.1 {outcome}\r\nConnection: close\r\n".encode())
        assert data.endswith(b"\r\n\r\n")
    else:
        assert data == b""
    board.run("print(1)")
    # QEMU shows there, too, what its network drops when much comes at once.
    console = re.sub(r"raw REPL.*?>>> |qemu-system-arm: Slirp: [^\n]*\n", "", board.text[begin:], flags=re.DOTALL)
    assert len(console.strip().splitlines()) <= (2 if isinstance(outcome, bytes) else 0), console


@pytest.mark.parametrize("name", REQUESTS)
def test_answer(shared: Board, name: str) -> None:
    check_answer(shared, name, 100_000)


@pytest.mark.boards("esp32", "lwip", reason="one of each stack")
@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("size", [1, 20])
def test_answer_to_pieces(shared: Board, name: str, size: int) -> None:
    check_answer(shared, name, size)


def test_connections_that_end_at_once_take_no_place(board: Board) -> None:
    # Where the end comes before accept(), lwIP ports lose it: _lwip_tcp_recv_unaccepted() in extmod/modlwip.c.
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", board.port), timeout=TIMEOUT) as s:
            s.shutdown(socket.SHUT_WR)
    assert b" 101 " in answer(board, [LAWFUL])


def test_answer_of_rfc_6455(board: Board) -> None:
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer(board, [LAWFUL])


def test_megabytes_are_refused_early(board: Board) -> None:
    sent = 0
    with socket.create_connection(("127.0.0.1", board.port), timeout=TIMEOUT) as s:
        s.sendall(b"GET / HTTP/1.1\r\nCookie: ")
        with contextlib.suppress(ConnectionError):
            while sent < 100_000_000:
                sent += s.send(b"x" * 1000)
    assert sent < 100_000_000
