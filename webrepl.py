# WebREPL: a board's REPL and files over a WebSocket.
# MIT license; Copyright (c) 2026 the WebREPL authors
#
# Who calls what:
#   listen_s has a connection   -> _on_connection -> _on_request, for each piece of the request -> _advance -> _attach
#   client_s has something      -> _on_input -> os.dupterm_notify -> Terminal.readinto -> the stdin ring buffer
#   the REPL waits for a key    -> Terminal.readinto, on ports that read os.dupterm there
#   something is printed        -> Terminal.write
#   _webrepl and websocket (C)  -> Terminal.feed for what comes, Terminal.keep for what they answer
#   _timer, while somebody is connected -> _on_timer: sends what was printed, looks for events that have got lost
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
# For the rest of what C would lose the beginning of, in ms.
_REST_TIMEOUT = const(2000)
# How long what is printed may wait for more, and how often to look for what has got lost, in ms.
_SEND_PERIOD = const(5)
_LOOK_PERIOD = const(100)
# What surely fits into the stdin ring buffer: an ESP8266's takes 255 bytes, an ESP32's 259.
_RING = const(255)
# How long a program may leave it full until what follows is dropped, up to Ctrl-C, in ms.
_RING_TIMEOUT = const(4000)
# How much is sent at once, and printed at once, in bytes.
_SEGMENT = const(256)

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
# The opcodes of a close frame and of a ping: RFC 6455 §5.2.
_CLOSE = const(8)
_PING = const(9)
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


def _terminal_type():
    """Return the class of what os.dupterm() gets: a new one for each session, as it takes 400 bytes of heap."""

    class Terminal(io.IOBase):
        """The client: what os.dupterm() gets, in front of the C modules, and the stream behind them."""

        # Whose it is, when it came, and, from the right password on, that it has logged in.
        ip: str
        start: int
        logged_in: bool
        # True while something is read or sent: what comes in between must leave the socket alone.
        busy: bool
        # True if Ctrl-C struck here and has to be handed on to the program.
        interrupted: bool
        # When it was asked if it is there, in ticks, or None if it has been heard of since.
        asked: int | None
        # Until when C may read on, in ticks, or None; if it would lose a byte if there was nothing more.
        end: int | None
        torn: bool
        # How much was typed since the stdin ring buffer was last seen empty, and since when that is too much, in ticks.
        count: int
        full: int
        # What has come of a frame's header, what is to be passed on of it, and what is left of its payload.
        frame: bytes
        head: bytes
        left: int
        # What the last read has brought, of a header and of a payload.
        data: bytes | None
        got: int | None
        # The first bytes of a character whose last are still to come, and frames that are to be sent.
        half: bytes
        out: bytearray

        # For os.dupterm(), which gives up a stream that raises. Ctrl-C strikes at any branch.

        def readinto(self, buf):
            """Read a byte of text; return None if there is none, or no room for it, and 0 at the end."""
            try:
                if self.interrupted:
                    self.interrupted = False
                    # os.dupterm_notify() stops here, and lwIP ports don't call again for what has come.
                    _wake(_SEND_PERIOD)
                    raise KeyboardInterrupt
                if self.busy:
                    _wake(_SEND_PERIOD)
                    return None
                if self.count >= _RING:
                    stdin = select.poll()
                    stdin.register(sys.stdin, _POLLIN)
                    if not stdin.poll(0):
                        self.count = 0
                    else:
                        if self.count == _RING:
                            self.count += 1
                            self.full = time.ticks_ms()  # type: ignore[assignment]
                        if time.ticks_diff(time.ticks_ms(), self.full) < _RING_TIMEOUT:
                            _wake(_SEND_PERIOD)
                            return None
                        # The program reads nothing: what follows is lost, up to the Ctrl-C that may be in it.
                self.busy = True
                self.end = None
                self.torn = False
                try:
                    n = self.webrepl.readinto(buf)
                    if n:
                        self.count += 1
                        return n
                    self.send()
                    if self.interrupted:
                        self.interrupted = False
                        _wake(_SEND_PERIOD)
                        raise KeyboardInterrupt
                    return n
                finally:
                    self.busy = False
            except KeyboardInterrupt:
                buf[0] = 3
                return 1
            except OSError as e:
                # A connection that broke has ended; a file that cannot be opened is to be told.
                if e.errno < _ECONNABORTED and e.errno != _EPIPE:
                    raise
                return 0

        def write(self, buf):
            """Take a segment of what is printed; return how much it was. Of nothing: send what there is."""
            try:
                # An ESP32 and an ESP8266 have freed all memory when they print "MPY: soft reboot": what would take some
                # would be given that which it is made of itself.
                if len(buf) == 18 and buf[0] == 77 and gc.mem_alloc() < 999:
                    return 18
                return self.take(buf)
            except KeyboardInterrupt:
                self.interrupted = True
                _on_input(None)
                return len(buf)
            except Exception:
                _drop()
                print("WebREPL client is gone")
                return len(buf)

        def ioctl(self, request, _):
            """Close, which os.dupterm() asks for at the end of the session."""
            if request == _STREAM_CLOSE:
                _drop()
            return 0

        def take(self, buf):
            """Take a segment of text, to be sent now or with what follows; return how much it was."""
            size = len(buf)
            if self.busy:
                # It waits, or only the other console has it.
                if size + len(self.half) <= _SEGMENT:
                    self.half += buf
                return size
            self.busy = True
            try:
                if self.half or size > _SEGMENT or (size and buf[-1] > 127):
                    text = self.half + memoryview(buf)[:_SEGMENT]
                    size = len(text) - len(self.half)
                    # RFC 3629 §3: the first byte of a character says how many 10xxxxxx follow. A frame that has only
                    # some of them would end the connection: RFC 6455 §8.1.
                    end = len(text) - 1
                    while text[end] & 0xC0 == 0x80 and end:
                        end -= 1
                    first = text[end]
                    if len(text) - end > (first > 0xBF) + (first > 0xDF) + (first > 0xEF):
                        end = len(text)
                    self.half = text[end:]
                    buf = text[:end]
                if buf:
                    if not self.out:
                        _wake(_SEND_PERIOD)
                    if self.logged_in and len(buf) < 126:
                        # As C would, but in one step: RFC 6455 §5.2.
                        self.out.append(0x81)
                        self.out.append(len(buf))
                        self.out.extend(buf)
                    else:
                        self.webrepl.write(buf)
                # After a soft reset there is no turn any more.
                if not (size and _timer) or len(self.out) > _SEGMENT or (size > 15 and buf[0] == 77):
                    self.send()
            finally:
                self.busy = False
            if self.interrupted:
                raise KeyboardInterrupt
            return size

        def send(self):
            """Send what there is; raise OSError if the client takes nothing for _WRITE_TIMEOUT."""
            interrupt = None
            since = time.ticks_ms()
            while self.out:
                try:
                    size = len(self.out)
                    # No branch between the two, or Ctrl-C could have it sent twice.
                    self.out = self.out[client_s.write(self.out) :]
                    if len(self.out) < size:
                        since = time.ticks_ms()
                    elif time.ticks_diff(time.ticks_ms(), since) > _WRITE_TIMEOUT:
                        raise OSError(_ETIMEDOUT)
                    else:
                        # It cannot have answered a ping yet, and need not.
                        self.asked = None
                        time.sleep_ms(_SEND_PERIOD)
                except KeyboardInterrupt as e:
                    interrupt = e
            if interrupt:
                raise interrupt

        # For `websocket`.

        def feed(self, buf):
            """Read for C, which must not miss what was read because of Ctrl-C."""
            # No branch between the two.
            self.left -= self.got
            self.got = 0
            while True:
                try:
                    return self.read(buf)
                except KeyboardInterrupt:
                    self.interrupted = True

        def read(self, buf):
            """Read a piece of a frame. In a transfer, wait a little for what comes next, and long for its rest."""
            while True:
                left = 0
                if self.end is not None:
                    left = time.ticks_diff(self.end, time.ticks_ms())
                    if left < 0 and not self.torn:
                        # A program has waited for long enough.
                        _wake(_SEND_PERIOD)
                        return None
                if self.head:
                    n = min(len(buf), len(self.head))
                    buf[:n] = self.head[:n]
                    self.head = self.head[n:]
                    return n
                if self.left:
                    if not self.got:
                        self.got = client_s.readinto(buf, min(len(buf), self.left))
                    if self.got is not None:
                        # C takes one byte, then what it belongs to: of a file, or of a request.
                        self.torn = self.logged_in and len(buf) == 1
                        if not self.torn:
                            self.begin()
                        return self.got
                    self.got = 0
                else:
                    n = self.next_frame()
                    if n:
                        continue
                    if n == 0:
                        return 0
                self.send()
                if self.torn:
                    self.begin()
                    left = time.ticks_diff(self.end, time.ticks_ms()) + _REST_TIMEOUT
                elif not (_by_ticks and self.logged_in):
                    left = 0
                if left <= 0:
                    return None
                if _by_ticks:
                    time.sleep_us(200)
                else:
                    time.sleep_ms(1)

        def next_frame(self):
            """Read a header, and control frames before it: return True, None if more is to come, 0 at the end.

            C would take what a ping or a close frame brings for typed. RFC 6455 §5.2, §5.5.
            """
            while True:
                if self.data:
                    # No branch between the two.
                    self.frame += self.data
                    self.data = None
                frame = self.frame
                control = size = length = 2
                if len(frame) > 1:
                    control = frame[0] & 8
                    length = frame[1] & 127
                    size = 2 + (frame[1] >> 7) * 4 + (length if control else 2 * (length == 126))
                opcode = frame[0] & 15 if frame else 0
                if opcode == _CLOSE or length > (125 if control else 126):
                    # Or what is too long: RFC 6455 §5.5, or 64 KiB or more.
                    # What is left unread makes a reset of the end, on lwIP ports: they keep no place for it then.
                    if self.data is None:
                        # Once: C may ask again.
                        self.out.extend(b"\x88\x00")
                        self.data = b""
                    return 0
                if len(frame) < size:
                    self.data = client_s.read(size - len(frame))
                    if not self.data:
                        return None if self.data is None else 0
                    self.asked = None
                    self.begin()
                    continue
                self.frame = b""
                if not control:
                    self.head = frame
                    self.left = frame[2] << 8 | frame[3] if length == 126 else length
                    return True
                if opcode == _PING and self.logged_in and size == 6 + length:
                    self.out.append(0x8A)
                    self.out.append(length)
                    for i in range(length):
                        self.out.append(frame[6 + i] ^ frame[2 + (i & 3)])
                # A stranger may send these without end.
                return True

        def keep(self, buf):
            """Keep a piece of a frame, to be sent with the other, which C would not write after Ctrl-C."""
            self.out.extend(buf)
            self.torn = False
            try:
                if not self.logged_in:
                    # Nothing else that a stranger sends makes C say this.
                    self.logged_in = b"connected" in buf
                    if self.logged_in or b"denied" in buf:
                        _note(self.ip, self.logged_in)
                elif buf[0] == 0x82:
                    self.begin()
                return len(buf)
            except KeyboardInterrupt:
                self.interrupted = True
                return len(buf)

        def begin(self):
            """Remember when a program has begun to wait for a transfer."""
            if self.end is None:
                self.end = time.ticks_add(time.ticks_ms(), _READ_TIME)  # type: ignore[assignment]

    return Terminal


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
            _terminal.interrupted = True
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
    if _terminal:
        terminal = _terminal
        cl = client_s
        _terminal = client_s = None
        current = os.dupterm(None)
        if current is not terminal:
            # Somebody has put another stream there since.
            os.dupterm(current)
        # That closes the file of a transfer, too, if _webrepl is the one in Python.
        terminal.webrepl.close()
        cl.close()
        _wake(_SEND_PERIOD)


def _attach(cl, ip):
    """Make the socket cl, past its handshake, the client and the terminal."""
    global client_s, _terminal
    # Found without a look at the flash, which a program may be writing when a callback comes here.
    import _webrepl

    # What comes now stays for long: without garbage between, it leaves more room in one piece.
    gc.collect()
    make = _terminal_type()
    terminal = make()
    terminal.ip = ip
    terminal.start = time.ticks_ms()  # type: ignore[assignment]
    terminal.logged_in = terminal.busy = terminal.interrupted = terminal.torn = False
    terminal.asked = terminal.end = terminal.data = None
    terminal.count = terminal.left = terminal.got = 0
    terminal.frame = terminal.head = terminal.half = b""
    terminal.out = bytearray()
    # A stream of the same kind, for `websocket`.
    frames = make()
    frames.readinto = terminal.feed
    frames.write = terminal.keep
    terminal.webrepl = _webrepl._webrepl(websocket.websocket(frames))
    client_s = cl
    _terminal = terminal
    os.dupterm(terminal)
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
        if terminal.asked is None:
            terminal.asked = now
            # A ping: RFC 6455 §5.5.2.
            terminal.keep(b"\x89\x00")
            terminal.write(b"")
        if abs(time.ticks_diff(now, terminal.asked)) <= _PONG_TIMEOUT and (
            terminal.logged_in or abs(time.ticks_diff(now, terminal.start)) <= _LOGIN_TIMEOUT
        ):
            return "WebREPL is in use"
        _drop()
        print("WebREPL client is gone")
    stream = os.dupterm(None)
    if stream:
        os.dupterm(stream)
        return "os.dupterm is in use"
    return None


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
    if _poll_listen and listen_s:
        # Those that wait would, on lwIP ports, point to a socket that is gone.
        _on_connection(listen_s)
    while _requests:
        _requests.pop()[0].close()
    if listen_s:
        listen_s.close()
    listen_s = None
    # What was printed goes before the end.
    _on_timer(None)
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
