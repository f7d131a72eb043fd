# WebREPL: a board's REPL and files over a WebSocket.
# MIT license; Copyright (c) 2026 the WebREPL authors
#
# Who calls what:
#   listen_s has a connection  -> _on_connection -> _on_request, for each piece of the request -> _advance -> _attach
#   client_s has something     -> _on_input -> os.dupterm_notify -> Terminal.readinto -> the stdin ring buffer
#   the REPL waits for a key   -> Terminal.readinto, on ports that read os.dupterm there
#   something is printed       -> Terminal.write
#   both of these              -> websocket (C), and _webrepl (C) for the password and files -> Connection
#   _timer, while it is needed -> _on_timer: sends what was printed, and looks for events that have got lost
# The first two are socket callbacks. On lwIP ports (ESP8266, RP2, STM32, mimxrt) the scheduler runs them between two
# bytecodes; on an ESP32 they are called directly where the board waits, and can interrupt each other when they wait.

import binascii
import gc
import hashlib
import io
import os
import select
import socket
import sys
import time

import websocket
from micropython import const

__version__ = "1.1.0"

# The public names: https://docs.micropython.org/en/latest/library/webrepl.html
DEBUG = 0
static_host = "https://micropython.org/webrepl/"
listen_s = None
client_s = None

# What os.dupterm() got from us.
_terminal = None
# Calls _on_timer(), None on ports that have no virtual timers; and each how many ms, 0 for never. It goes on by itself,
# as a call is lost where the scheduler's queue is full.
_timer = None
_period = 0
# Connections whose request is not complete yet: (socket, address, generator of _request()).
_requests: list = []
# Addresses that have logged in since the boot, and wrong passwords in a row: by address, and by None of all others,
# how many, and when the last came, in ticks. The oldest are forgotten.
_known: list = []
_wrong: dict = {}
# True if connections can be looked for without waiting; if accept_conn() waits for a request.
_poll_listen = False
_accepting = False

# On ESP32, as on the unix port, TCP_NODELAY has POSIX' number; what comes is looked at by ticks there, and at once on
# lwIP ports.
_by_ticks = getattr(socket, "TCP_NODELAY", 0) == 1

# What is kept of a line of a request, and what is read of all of it, in bytes: a browser may bring 4 KB of cookies.
_LINE = const(128)
_REQUEST = const(8191)
# For a request that is waited for, in ms, and for a client to read what is printed.
_REQUEST_TIMEOUT = const(5000)
_REQUEST_PERIOD = const(10)
_WRITE_TIMEOUT = const(2000)
# How long a client may leave a ping unanswered if others want its place, in ms.
_PONG_TIMEOUT = const(5000)
# How long somebody may wait at the password prompt if others want the place, in ms.
_LOGIN_TIMEOUT = const(30000)
# From how many wrong passwords in a row on the next has to wait, and for how long, in ms; how many are remembered.
_GUESSES = const(3)
_GUESS_PERIOD = const(2000)
_REMEMBERED = const(4)
# How long a reading may go on, in ms: a program that runs meanwhile pauses for it.
_READ_TIME = const(20)
# How long what is printed may wait for more, and how often to look for what has got lost, in ms.
_SEND_PERIOD = const(5)
_LOOK_PERIOD = const(100)
# What surely fits into the stdin ring buffer: an ESP8266's takes 255 bytes, an ESP32's 259.
_RING = const(255)
# How much is read at once of what is typed, in bytes.
_TYPED = const(32)
# How long a program may leave it full until what follows is dropped, up to Ctrl-C, in ms.
_RING_TIMEOUT = const(4000)
# How much is sent at once, printed at once, and on an ESP32 received at once, in bytes.
_SEGMENT = const(256)
# How many answers may wait for each other, in bytes.
_QUEUE = const(1024)

# The number of TCP at IANA, and of "readable" in py/stream.h: the names would take flash.
_IPPROTO_TCP = const(6)
_POLLIN = const(1)
# The answer to a WebSocket's opening handshake, up to what tells that its key was read: RFC 6455 §4.2.2, §1.3.
_UPGRADE = const(
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)
_GUID = const(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
# Any other answer, and the page. Without an icon of its own there, browsers ask the board for one.
_RESPONSE = const("HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: text/html;charset=utf-8\r\n\r\n")
_PAGE = const(
    "<!DOCTYPE html><title>WebREPL</title><link rel=icon href=data:,>"
    '<base href="%s"><script src=webrepl_content.js onerror="document.write('
    "`No ${src}. Put webrepl_content.js.gz on the board, and BASE='/' in webrepl_cfg.py.`)\"></script>"
)
# The page's script on the flash, if BASE is "/". It is sent in slices, of which each, with the head of its answer, fits
# an ESP8266's send buffer of 1072 bytes; at this place in it is one that is JavaScript, and asks for what follows.
_SCRIPT = const(b"/webrepl_content.js")
_SLICE = const(990)
_LOADER = const(10)
_FROM = const("WebREPL connection from")

# The socket option of a function to call when the socket is readable, which socket has no name for.
_SO_CALLBACK = const(20)
# The ioctl() request of close(), as in py/stream.h.
_STREAM_CLOSE = const(4)
# The opcodes of a text frame, of a close frame and of a ping: RFC 6455 §5.2.
_TEXT = const(1)
_CLOSE = const(8)
_PING = const(9)
# What a socket raises if nothing has come.
_EAGAIN = const(11)
# What sockets raise, and files do not: this or above, or the other.
_ECONNABORTED = const(103)
_EPIPE = const(32)
_ETIMEDOUT = const(110)
# It has done its work when this is compiled, and each name here takes heap for good.
del const


def _request(cl, count):
    """Parse the HTTP request that the stream cl brings, as it comes, and answer it if it is a WebSocket's.

    Where more must come, waits for _REQUEST_PERIOD, count times in all, and from then on yields None. Yields in the end
    what the request was: True for a WebSocket's, False for one of the page, bytes for one of its script, else the
    status to answer with, or "" for what is no HTTP. Reads nothing beyond the request.
    """
    cl.settimeout(0)
    size = 0
    line = key = b""
    old = False
    request = None
    missing = {b"upgrade:websocket", b"connection:upgrade"}
    while True:
        # At most to the end of the line: what follows the request stays in the socket.
        while (part := cl.readline(_LINE)) is None:
            if count:
                count -= 1
                time.sleep_ms(_REQUEST_PERIOD)
            else:
                yield
        size += len(part)
        if size > _REQUEST:
            yield "431 Too Large"
        line = (line + part)[:_LINE]
        words = line.replace(b"?", b" ").split()
        # RFC 9112 §2.2: empty lines before the request are passed over. A method has capital letters. The end of a
        # long line is not kept, and cannot be looked at.
        if not part or (
            not request and words and (not line[:1].isupper() or (line[-1] == 10 and b" HTTP/" not in line))
        ):
            yield ""
        if part[-1] != 10:
            continue
        if DEBUG:
            print(line)
        if not request:
            request = words
        elif words:
            # RFC 6455 §4.2.1. The official command-line client sends no version, and foo for a key.
            words = line.split(b":", 1)
            name = words[0].lower()
            value = words[-1]
            for word in value.lower().replace(b",", b" ").split():
                missing -= {name + b":" + word}
            if name == b"sec-websocket-key":
                key = value.strip()
            if name == b"sec-websocket-version":
                old = value.strip() != b"13"
        elif missing or not key or request[0] != b"GET":
            yield False if b"/" in request[1:2] else request[2] if _SCRIPT in request[1:2] else "404 Not Found"
        elif old:
            # RFC 6455 §4.4: the version to try instead.
            yield "426 Upgrade Required\r\nSec-WebSocket-Version: 13"
        else:
            cl.write(_UPGRADE + binascii.b2a_base64(hashlib.sha1(key + _GUID).digest()).strip() + b"\r\n\r\n")
            yield True
        line = b""


def server_handshake(cl) -> bool:
    """Read the HTTP request on the socket cl and answer it, if it is a WebSocket's.

    Waits at most 5 s for all of it. Returns False for anything else, which is left to the caller to answer, as by
    send_html(cl), and to close. Raises OSError if the connection breaks.
    """
    outcome = next(_request(cl, _REQUEST_TIMEOUT // _REQUEST_PERIOD))
    cl.settimeout(None)
    return outcome is True


def send_html(cl) -> None:
    """Send the page that loads the client from static_host to the socket cl, and close it."""
    try:
        cl.write(_RESPONSE % "200 OK" + _PAGE % static_host)
    finally:
        cl.close()


def _send_slice(cl, offset):
    """Send the script's bytes from the offset on, or the loader if it is no number, as far as cl takes them at once."""
    with open("webrepl_content.js.gz", "rb") as f:
        cl.write(_RESPONSE % "200 OK")
        more = offset.isdigit() and socket.__name__ != "lwip"
        f.seek(int(offset) if offset.isdigit() else _LOADER)
        # lwip_tcp_send() in extmod/modlwip.c waits if there is no memory: there, one slice. Others take what fits.
        while cl.write(f.read(_SLICE)) == _SLICE and more:
            pass


def _new_terminal(cl, ip):
    """Return what os.dupterm() is to get for the socket cl. Its classes are its own, as they take 500 bytes of heap."""

    class Connection(io.IOBase):
        """The client's socket, for `websocket`: what is no data frame stays here, and frames are kept for send().

        Ctrl-C raises KeyboardInterrupt at any branch, and C loses what it is doing when that passes through: so
        readinto() holds it back, and write() has no branch. Nor is there one between steps that belong together. On an
        ESP32 it can strike in the socket, too, between pieces of what that writes, which this cannot prevent.
        """

        def __init__(self, cl, ip):
            self.cl = cl
            self.ip = ip
            # When it came, and until when C may read on, in ticks; and if something has come meanwhile.
            self.start = self.end = time.ticks_ms()
            self.heard = False
            # True if the message is text, which may be cut into frames: RFC 6455 §5.4.
            self.is_text = True
            # True from the right password on; and if Ctrl-C struck here and has to be handed on to the program.
            self.logged_in = self.interrupted = False
            # When the client was asked if it is there, in ticks, or None if it has been heard of since.
            self.asked = None
            # What has just come; b"" at the end of the connection.
            self.data = None
            # What has come of a frame's header; and of a data frame, its header included, how much C has not read yet.
            self.header = b""
            self.left = 0
            # Frames that are to be sent.
            self.out = bytearray()
            # When the write began that goes on, in ticks, or None. How long the client may still let wait, in ms: for
            # each byte that it takes, 1 more.
            self.writing = None
            self.patience = _WRITE_TIMEOUT

        def readinto(self, buf):
            """Read from a data frame; return 0 if nothing is there: for None, C would forget what it has begun with."""
            while True:
                try:
                    # What has come of the next frame's header is next_frame()'s.
                    if not self.left:
                        return 0
                    if not self.data:
                        if self.heard and self.is_late():
                            return 0
                        if len(self.out) > _QUEUE:
                            self.send()
                        if not self.receive(min(len(buf), self.left)):
                            return 0
                    part = self.data
                    if len(part) > len(buf):
                        part = part[: len(buf)]
                    n = len(part)
                    rest = self.data[n:] or None
                    buf[:n] = part
                    self.data = rest
                    self.left -= n
                    return n
                except KeyboardInterrupt:
                    self.interrupted = True

        def receive(self, size):
            """Take at most so many bytes into data; return them, or what is false if none came."""
            if _by_ticks and size > 1:
                try:
                    # An ESP32's read() tries for more when some have come, and Ctrl-C strikes there.
                    self.data = self.cl.recv(min(size, _SEGMENT))
                except OSError as e:
                    if e.errno != _EAGAIN:
                        raise
            else:
                self.data = self.cl.read(size)
            if self.data:
                self.asked = None
                self.heard = True
            return self.data

        def write(self, buf):
            """Keep a piece of a frame, to be sent with the rest of it."""
            self.out.extend(buf)
            return len(buf)

        def ioctl(self, request, _):
            """Close the socket."""
            if request == _STREAM_CLOSE:
                self.cl.close()
            return 0

        def is_late(self):
            """Tell if a program has waited for long enough."""
            return time.ticks_diff(self.end, time.ticks_ms()) < 0

        def next_frame(self):
            """Find out what there is for C: return True if there may be something, None if not now, 0 at the end."""
            while not self.left and not self.is_late():
                if self.data:
                    self.header += self.data
                    self.data = None
                header = self.header
                # RFC 6455 §5.2: two bytes, the length if it is 126 or more, a mask; with a control frame, all of it.
                size = 2
                if len(header) > 1:
                    opcode = header[0] & 15
                    length = header[1] & 127
                    if opcode == _CLOSE or length > (125 if opcode > _CLOSE else 126):
                        # Or what is too long: RFC 6455 §5.5, or 64 KiB or more. What is left unread turns the end
                        # into a reset on lwIP ports, which keep no place for the connection then.
                        return 0
                    if header[1] > 127:
                        size += 4
                    if opcode > _CLOSE:
                        size += length
                    elif length == 126:
                        size += 2
                if len(header) < size:
                    # Without an exception when there is none, as the next one is looked for all the time.
                    if self.receive(1 if _by_ticks and not header else size - len(header)):
                        continue
                    break
                if opcode < _CLOSE:
                    if opcode:
                        self.is_text = opcode == _TEXT
                    if length == 126:
                        length = header[2] << 8 | header[3]
                    self.left = size + length
                    self.data = header
                    self.header = b""
                    return True
                if opcode == _PING and self.logged_in and size == 6 + length:
                    payload = bytearray(header[6:])
                    for i in range(length):
                        payload[i] ^= header[2 + i % 4]
                    self.write(b"\x8a%c" % length + payload)
                self.header = b""
            if self.data == b"":
                return 0
            if self.is_late():
                _wake(_SEND_PERIOD)
            elif self.heard and self.logged_in and _by_ticks:
                # The client answers sooner than anybody looks; but first it gets what it waits for.
                self.send()
                time.sleep_us(200)
                return True
            return None

        def send(self):
            """Send what there is; raise OSError if the client takes too little of it."""
            while self.out:
                start = self.writing = time.ticks_ms()
                try:
                    # Without a branch in between, or Ctrl-C could have it sent twice.
                    n = self.cl.write(self.out)
                    self.out[:] = self.out[n:]
                    if n:
                        self.patience = min(self.patience + n, _WRITE_TIMEOUT)
                    # Short of memory, lwip_tcp_send() in extmod/modlwip.c waits for 10 s, and then forgets what it has.
                    took = time.ticks_diff(time.ticks_ms(), start)
                    if took > _WRITE_TIMEOUT or (self.out and self.patience < 0):
                        raise OSError(_ETIMEDOUT)
                    self.writing = None
                    if self.out:
                        # It cannot have answered a ping yet, and need not.
                        self.asked = None
                        time.sleep_ms(_SEND_PERIOD)
                        self.patience -= time.ticks_diff(time.ticks_ms(), start)
                except KeyboardInterrupt:
                    self.writing = None
                    self.interrupted = True

    class Terminal(io.IOBase):
        """What os.dupterm() gets, which gives up a stream that raises."""

        def __init__(self, connection):
            # Found without a look at the flash, which a program may be writing when a callback comes here.
            import _webrepl

            self.connection = connection
            self.websocket = websocket.websocket(connection)
            self.webrepl = _webrepl._webrepl(self.websocket)
            # True while something is read or sent: what comes in between must leave the connection alone; and while
            # what is printed may be that of a soft reset.
            self.busy = self.resetting = False
            # What was typed, and how many bytes of it, the last, the REPL has not got yet.
            self.typed = b""
            self.unread = 0
            # How much was typed since the stdin ring buffer was last seen empty, with a byte that may come with the
            # password; since when that is too much, in ticks.
            self.count = 1
            self.full = 0
            # What was printed while busy, or the first bytes of a character whose last are still to come.
            self.text = b""
            # The frames that are to be sent.
            self.out = connection.out

        def readinto(self, buf):
            """Read a byte of text; return None if there is none, or no room for it, and 0 at the end."""
            try:
                if self.connection.interrupted:
                    raise KeyboardInterrupt
                if self.busy or (self.count >= _RING and self.is_full()):
                    # lwIP ports don't call again for what has come.
                    _wake(_SEND_PERIOD)
                    return None
                if not self.unread:
                    n = self.read(buf)
                    if not self.unread:
                        return n
                buf[0] = self.typed[-self.unread]
                self.unread -= 1
                self.count += 1
                return 1
            except KeyboardInterrupt:
                self.connection.interrupted = False
                try:
                    # os.dupterm_notify() stops here.
                    _wake(_SEND_PERIOD)
                finally:
                    # Tools send Ctrl-C twice, and the second may strike just then.
                    buf[0] = 3
                    return 1  # noqa: B012
            except OSError as e:
                if self is not _terminal:
                    # Another has the place since, and C would take it away.
                    return None
                # A connection that broke has ended; a file that cannot be opened is to be told.
                if e.errno < _ECONNABORTED and e.errno != _EPIPE:
                    raise
                return 0

        def read(self, buf):
            """Read what is typed into typed, or a byte of it into buf, and do what else the client asks for.

            Returns how much was read, None if nothing is there, and 0 at the end.
            """
            connection = self.connection
            self.busy = True
            try:
                connection.end = time.ticks_add(time.ticks_ms(), _READ_TIME)
                connection.heard = False
                n = 1
                while n:
                    if connection.is_text and connection.logged_in:
                        # On an ESP32, Ctrl-C can strike in the socket's read() of several pieces, and nobody may ask
                        # for what is left behind a Ctrl-C of the client.
                        self.typed = self.websocket.read(1 if _by_ticks else _TYPED)
                        n = self.unread = len(self.typed)
                    else:
                        # With the right password may come a byte of text.
                        n = self.webrepl.readinto(buf)
                        if not connection.logged_in:
                            # Nothing else that a stranger sends makes C say these.
                            connection.logged_in = b"connected" in connection.out
                            denied = b"denied" in connection.out
                            if connection.logged_in or denied:
                                _note(connection.ip, connection.logged_in)
                            if denied:
                                break
                    if n:
                        return n
                    n = connection.next_frame()
                connection.send()
                if n == 0:
                    connection.write(b"\x88\x00")
                    connection.send()
            finally:
                self.busy = False
            if n is None and connection.interrupted:
                raise KeyboardInterrupt
            return n

        def is_full(self):
            """Tell if the stdin ring buffer, which got all it takes, is not empty yet; for _RING_TIMEOUT at most."""
            stdin = select.poll()
            stdin.register(sys.stdin, _POLLIN)
            if not stdin.poll(0):
                self.count = 0
                return False
            if self.count == _RING:
                self.count += 1
                self.full = time.ticks_ms()  # type: ignore[assignment]
            # From then on what follows is lost, up to the Ctrl-C that may be in it.
            return time.ticks_diff(time.ticks_ms(), self.full) < _RING_TIMEOUT

        def write(self, buf):
            """Take a segment of what is printed; return how much it was. Of nothing: send what there is."""
            # An ESP32 and an ESP8266 have freed all memory when they print "MPY: soft reboot": what would take some
            # would be given that which it is made of itself. _on_timer() may come at any branch, and must know by then.
            self.resetting = len(buf) == 18
            try:
                if self.resetting:
                    if buf[0] == 77 and gc.mem_alloc() < 999:
                        return 18
                    self.resetting = False
                if self.busy or self.text or not self.connection.logged_in or not 0 < len(buf) < 126 or buf[-1] > 127:
                    buf = self.take(buf)
                else:
                    # As C would, but in one step, as a paste has thousands: RFC 6455 §5.2.
                    self.out.append(0x81)
                    self.out.append(len(buf))
                    self.out.extend(buf)
                # After a soft reset there is no turn any more.
                if self.busy or (buf and _timer and len(self.out) <= _SEGMENT and (len(buf) < 16 or buf[0] != 77)):
                    _wake(_SEND_PERIOD)
                else:
                    self.send()
                # Here and not at the end: the end of a try, too, is a branch, at which Ctrl-C would end the session.
                return len(buf)
            except KeyboardInterrupt:
                self.connection.interrupted = True
                _on_input(None)
                return len(buf)
            except Exception:
                if self is _terminal:
                    _drop()
                    print("WebREPL client is gone")
                return len(buf)

        def ioctl(self, request, _):
            """Close, which os.dupterm() asks for at the end of the session."""
            if request == _STREAM_CLOSE:
                _drop()
            return 0

        def take(self, buf):
            """Take what is long, or not ASCII, or comes before the login or in the middle of something else.

            Returns as much of it as was taken.
            """
            if self.busy:
                writing = self.connection.writing
                # Closed, the socket ends the wait. An ESP8266's lwIP does not look if there still is a connection.
                if (
                    writing is not None
                    and sys.platform != "esp8266"
                    and time.ticks_diff(time.ticks_ms(), writing) > _WRITE_TIMEOUT
                ):
                    _drop()
                    print("WebREPL client is gone")
                # It waits, or only the other console has it.
                if len(buf) + len(self.text) <= _SEGMENT:
                    self.text += buf
                return buf
            buf = memoryview(buf)[:_SEGMENT]
            text = self.text + buf
            self.text = b""
            if text:
                # RFC 3629 §3: the first byte of a character says how many 10xxxxxx follow. A frame that has only some
                # of them would end the connection: RFC 6455 §8.1.
                last = len(text) - 1
                while text[last] & 0xC0 == 0x80 and last:
                    last -= 1
                first = text[last]
                if len(text) - last > (first > 0xBF) + (first > 0xDF) + (first > 0xEF):
                    last = len(text)
                self.text = text[last:]
                if last:
                    self.webrepl.write(text[:last])
            return buf

        def send(self):
            """Send the frames that there are; raise KeyboardInterrupt if one was held back."""
            self.busy = True
            try:
                self.connection.send()
            finally:
                self.busy = False
            if self.connection.interrupted:
                raise KeyboardInterrupt

    return Terminal(Connection(cl, ip))


def _wake(period):
    """Have _on_timer() called each so many ms, if the port can, or more often if it is already."""
    global _period
    if _timer and not 0 < _period <= period:
        _period = period
        _timer.init(mode=_timer.PERIODIC, period=period, callback=_on_timer)


def _on_timer(_):
    """Send what was printed, and do what an event that has got lost would have done."""
    global _period
    try:
        if _terminal and _terminal.resetting:
            return
        _period = 0
        if _terminal or _requests:
            _wake(_LOOK_PERIOD)
        elif _timer:
            _timer.deinit()
        if _terminal:
            _terminal.write(b"")
        for request in _requests:
            _advance(request)
        if _poll_listen:
            _on_connection(listen_s)
    except KeyboardInterrupt:
        if _terminal:
            _terminal.connection.interrupted = True
    # Last, and with no branch behind it: this may be where Ctrl-C is read.
    _on_input(None)


def _on_input(_):
    """Socket callback of the client: read what it has sent."""
    # Ctrl-C strikes at branches, and would be lost here instead of reaching the program: so there is none.
    try:
        os.dupterm_notify(None)
        return
    except AttributeError:
        # STM32 has no such function, but reads os.dupterm where it waits for a key.
        pass


def _drop():
    """Detach and close the client, if there is one."""
    global client_s, _terminal
    terminal = _terminal
    _terminal = client_s = None
    if terminal:
        current = os.dupterm(None)
        if current and current is not terminal:
            # Somebody has put another stream there since.
            os.dupterm(current)
        # That closes the socket; and the file of a transfer, if _webrepl is the one in Python.
        terminal.webrepl.close()
        _wake(_SEND_PERIOD)


def _attach(cl, ip):
    """Make the socket cl, past its handshake, the client and the terminal."""
    global client_s, _terminal
    # What comes now stays for long: without garbage between, it leaves more room in one piece.
    gc.collect()
    terminal = _new_terminal(cl, ip)
    # Another may have come meanwhile.
    other = _terminal
    client_s = cl
    _terminal = terminal
    os.dupterm(terminal)
    if other:
        other.webrepl.close()
    try:
        cl.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, _on_input)
        # Or else a prompt that follows other text waits for the client's ACK of that. On lwIP ports each write would
        # be a segment, and a connection that was reset would be a fault.
        if _by_ticks:
            cl.setsockopt(_IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except Exception:
        # The REPL reads by itself, or Nagle's algorithm stays.
        pass
    # What has come before is no event.
    _on_input(None)
    terminal.write(b"")


def _note(ip, right):
    """Remember a password of the address; say so at the third wrong one, at each doubling, and at the right one."""
    count = 0
    if right:
        count = _wrong.pop(ip, (0,))[0]
        if ip not in _known:
            _known.append(ip)
            del _known[:-_REMEMBERED]
    else:
        if len(_wrong) > _REMEMBERED:
            # The count of all is the one that holds against many addresses.
            count = _wrong[None]
            _wrong.clear()
            _wrong[None] = count
        for who in (None, ip):
            count = _wrong.get(who, (0,))[0] + 1
            _wrong[who] = (count, time.ticks_ms())
    # At 3, 6, 12, 24 and so on: a power of two has one bit.
    times = count // _GUESSES
    if times and (right or (count % _GUESSES == 0 and not times & (times - 1))):
        print("WebREPL:", count, "wrong passwords from", ip, "and the right one" if right else "")


def _refusal(ip):
    """Return why a client from the address cannot have the place now, or None if it can."""
    now = time.ticks_ms()
    for who, period in ((ip, _GUESS_PERIOD), (None, _GUESS_PERIOD // 2)):
        count, last = _wrong.get(who, (0, 0))
        wait = period - time.ticks_diff(now, last)
        # Ticks come round again after days.
        if count >= _GUESSES and 0 < wait <= period and ip not in _known:
            return "Wait %d s" % ((wait + 999) // 1000)
    # It may have gone, and its socket's turn is still to come.
    _on_input(None)
    terminal = _terminal
    if terminal:
        connection = terminal.connection
        if terminal.busy:
            # What it is sent may be in C's hands.
            return "WebREPL is in use"
        if connection.asked is None:
            connection.asked = now
            # A ping: RFC 6455 §5.5.2.
            connection.write(b"\x89\x00")
            terminal.write(b"")
        if abs(time.ticks_diff(now, connection.asked)) <= _PONG_TIMEOUT and (
            connection.logged_in or abs(time.ticks_diff(now, connection.start)) <= _LOGIN_TIMEOUT
        ):
            return "WebREPL is in use"
        _drop()
        print("WebREPL client is gone")
    # Without a branch, at which another could take the place.
    stream = os.dupterm(None)
    os.dupterm(stream)
    return "os.dupterm is in use" if stream else None


def _advance(request):
    """Read on in a request, (socket, address, generator of _request()); when that was all of it, answer it."""
    cl, addr, parser = request
    try:
        outcome = next(parser)
        if outcome is None:
            return
    except Exception:
        # The connection broke, or there is too little memory for it.
        outcome = ""
    # What is printed from here on may let others in.
    if request in _requests:
        _requests.remove(request)
    try:
        if outcome is False:
            send_html(cl)
        elif isinstance(outcome, bytes):
            _send_slice(cl, outcome)
        elif outcome is not True:
            if outcome:
                cl.write(_RESPONSE % outcome)
        elif refusal := _refusal(addr[0]):
            print("Concurrent", _FROM, addr, "rejected")
            # RFC 6455 §5.5.1 and §7.4.1: a close frame, with a code that says to try again later, and a reason.
            cl.write(b"\x88%c\x03\xf5%s" % (2 + len(refusal), refusal))
        else:
            print(_FROM + ":", addr)
            _attach(cl, addr[0])
    except Exception:
        pass
    finally:
        if cl is not client_s:
            cl.close()


def _on_request(cl):
    """Socket callback of a connection whose request is not complete."""
    for request in _requests:
        if request[0] is cl:
            _advance(request)
            return


def _on_connection(listen_sock):
    """Socket callback of the listening socket, for one connection or, on lwIP ports, all that came at once."""
    try:
        while True:
            cl, addr = listen_sock.accept()
            cl.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, _on_request)
            _requests.append((cl, addr, _request(cl, 0)))
            _wake(_SEND_PERIOD)
            # Two may be on their way, as browsers open a connection to spare; the one before has had its time.
            if len(_requests) > 2:
                _requests.pop(0)[0].close()
            # What has come before this call is no event.
            _on_request(cl)
    except Exception:
        # No more, or no memory for more.
        pass


def accept_conn(listen_sock) -> bool:
    """Accept a connection on the socket listen_sock and answer its request, waiting at most 5 s for it.

    Returns True if it is a WebSocket's and has become the client; False if it got the page, or an error, or there is
    a client already. As accept_handler of start() it answers as the request comes, and never waits.
    """
    global _accepting
    if _accepting:
        # On an ESP32 a handler is called again while this one waits.
        return False
    _accepting = True
    try:
        cl, addr = listen_sock.accept()
        _advance((cl, addr, _request(cl, _REQUEST_TIMEOUT // _REQUEST_PERIOD)))
        return cl is client_s
    except OSError:
        return False
    finally:
        _accepting = False


def setup_conn(port: int, accept_handler):
    """Listen on the TCP port; accept_handler, if not None, is called with the socket when there is a connection.

    Returns the socket, which is listen_s too. Raises OSError if the port is in use.
    """
    global listen_s, _poll_listen, _timer
    import _webrepl

    s = socket.socket()
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("", port))
        s.listen(4)
        _poll_listen = accept_handler is accept_conn
        if accept_handler:
            # A connection may be gone before the handler has its turn.
            s.settimeout(0 if _poll_listen else 1)
            try:
                if sys.platform == "esp32" and hasattr(_webrepl, "__file__"):
                    # Built without the C module, it has no callbacks, and does not say so.
                    raise OSError
                s.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, _on_connection if _poll_listen else accept_handler)
            except Exception:
                print("Use start_foreground()")
                return None
        listen_s = s
    finally:
        if s is not listen_s:
            s.close()
    try:
        # Up to MicroPython 1.24, an ESP32's Timer(-1) is one of the program's.
        if not _timer and (sys.platform != "esp32" or sys.implementation[1] > (1, 25)):
            from machine import Timer

            _timer = Timer(-1)
    except Exception:
        # Ports without virtual timers call back as long as there is something to read.
        pass
    shown = False
    for i in range(3 if sys.platform == "esp32" else 2):
        try:
            import network

            # The station, the access point, and the cable, which other ports would start anew.
            nic = network.WLAN(i) if i < 2 else network.LAN()  # type: ignore[call-arg]
            if nic.active():
                print("WebREPL server started on", "http://%s:%d/" % (nic.ifconfig()[0], port))  # type: ignore[union-attr]
                shown = True
        except Exception:
            # A port without it, or one that wants to be told its pins.
            pass
    if not shown:
        print("WebREPL server started on", "port", port)
    return s


def stop() -> None:
    """Close the listening socket and all connections, and detach the WebREPL from the terminal."""
    global listen_s
    # What was printed goes before the end.
    _on_timer(None)
    # Before the listening socket: on lwIP ports, the close() of that can break a connection. See README.md.
    _drop()
    if _poll_listen and listen_s:
        # Those that wait would, on lwIP ports, point to a socket that is gone.
        _on_connection(listen_s)
    while _requests:
        _requests.pop()[0].close()
    if listen_s:
        listen_s.close()
    listen_s = None
    # Somebody may have come meanwhile.
    _drop()


def start(port: int = 8266, password: str | None = None, accept_handler=accept_conn) -> None:
    """Start the server on the TCP port, anew if it runs: https://docs.micropython.org/en/latest/library/webrepl.html

    Without a password, PASS of webrepl_cfg.py is it, and BASE, if there, becomes static_host. If that does not work
    out, says why and starts nothing. Raises ValueError if the password given is not one of 1 to 9 bytes, OSError if
    the port is in use. accept_handler is called with the listening socket when a client connects; None serves in
    the foreground until a client is in.
    """
    global static_host
    import _webrepl

    stop()
    mode = "manual override"
    try:
        if password is None:
            mode = "normal"
            sys.modules.pop("webrepl_cfg", None)
            import webrepl_cfg

            del sys.modules["webrepl_cfg"]
            password = webrepl_cfg.PASS
            static_host = getattr(webrepl_cfg, "BASE", static_host)
        try:
            # A control character could not be typed, and a NUL would end the password early.
            if min(password) < " ":
                raise ValueError
            _webrepl.password(password)
        except Exception:
            # MicroPython knows no "from".
            raise ValueError("Password: str of 1 to 9 bytes")  # noqa: B904
    except Exception as e:
        if mode != "normal":
            raise
        print("webrepl_cfg: %r\nRun: import webrepl_setup" % e)
        return
    setup_conn(port, accept_handler)
    if not accept_handler:
        print("Starting webrepl in foreground mode")
        while listen_s and not accept_conn(listen_s):
            pass
    elif listen_s:
        print("Started webrepl in", mode, "mode")


def start_foreground(port: int = 8266, password: str | None = None) -> None:
    """Start the server as start() does, and serve until a WebSocket client is in."""
    start(port, password, None)
