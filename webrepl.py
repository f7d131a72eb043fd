# WebREPL: a board's REPL and files over a WebSocket.
# MIT license; Copyright (c) 2026 the WebREPL authors

import binascii
import hashlib
import io
import os
import select
import socket
import time

import websocket
from micropython import const

__version__ = "1.0.0"

# The public names: https://docs.micropython.org/en/latest/library/webrepl.html
DEBUG = 0
static_host = "https://micropython.org/webrepl/"
listen_s = None
client_s = None

# What os.dupterm() got from us, and the timer that has it read later.
_term = None
_timer = None
# What serves the requests that came last, which may not be complete yet: generators of _serve().
_new: list | None = None

# What is kept of a line of a request, and what is read of all of it, in bytes: a browser may bring 4 KB of cookies.
_LINE = const(128)
_REQUEST = const(8191)
# For a request that is waited for, in ms, and for a client to read what is printed, in s.
_REQUEST_TIMEOUT = const(5000)
_REQUEST_PERIOD = const(10)
_WRITE_TIMEOUT = const(2)
# How long a client may leave a ping unanswered if others want its place, in ms.
_PONG_TIMEOUT = const(5000)
# What surely fits into the stdin ring buffer: an ESP8266's takes 255 bytes, an ESP32's 259.
_RING = const(255)
# How long a program may leave it full until what follows is searched for Ctrl-C, and how often to look, in ms.
_RING_TIMEOUT = const(1000)
_RING_PERIOD = const(5)
# What fits into a frame of the C module, in bytes.
_FRAME = const(65535)

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
    '<base href="%s"><script src=webrepl_content.js></script>'
)
_FROM = const("WebREPL connection from")

# The socket option of a function to call when the socket is readable, which socket has no name for.
_SO_CALLBACK = const(20)
# The ioctl() request of close(), as in py/stream.h.
_STREAM_CLOSE = const(4)
# The ioctl() request of websocket for the opcode of the frame that came last, as in py/stream.h, and that of a close
# frame: RFC 6455 §5.5.1.
_STREAM_GET_DATA_OPTS = const(8)
_CLOSE = const(8)
# All that sockets raise, and nothing that files do, is at or above this on any port.
_ECONNABORTED = const(103)
# It has done its work when this is compiled, and each name here takes heap for good.
del const


def _request(cl, count):
    """Parse the HTTP request that the stream cl brings, as it comes, and answer it if it is a WebSocket's.

    Where more must come, waits for _REQUEST_PERIOD, count times in all, and from then on yields None. Yields in the end
    what the request was: True for a WebSocket's, False for one of the page, else the status to answer with, or "" for
    what is no HTTP. Reads nothing beyond the request.
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
            yield False if b"/" in request[1:2] else "404 Not Found"
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


def _drop():
    """Detach and close the client, if there is one."""
    global client_s, _term
    term = os.dupterm(None)
    if term is not _term:
        # Somebody has put another stream there since.
        os.dupterm(term)
    term = _term
    client_s = _term = None
    if term:
        # That closes the file of a transfer, too, if _webrepl is the one in Python.
        getattr(term, "_webrepl", term).close()


def _attach(cl):
    """Make the socket cl, past its handshake, the client and the terminal."""
    global client_s, _term
    # These are found without a look at the flash, which a program may be writing when a callback comes here.
    import sys

    import _webrepl

    def callback(_):
        """Socket callback of the client."""
        # Ctrl-C strikes at branches, and would be lost here instead of reaching the program: so there is none.
        try:
            os.dupterm_notify(None)
            _term.ping = 0  # type: ignore[attr-defined]
            return
        except AttributeError:
            # A call that comes when the client has gone; a method would keep its memory until others come.
            pass

    try:

        class Term(io.IOBase):
            """What os.dupterm() gets: the _webrepl object, with the stdin ring buffer and slow clients in mind.

            Its names are such as MicroPython knows anyway: they take no flash.
            """

            # How much was read since the ring buffer was last seen empty, and when the last of it was, in ticks.
            count = 0
            time: int
            # Tells if the ring buffer has something.
            stdin: select.poll
            # True while what is printed may be waiting for the client.
            busy = False
            # When the client was sent a ping, in ticks, or 0 if it has been heard of since; not set if it cannot be.
            ping: int
            # Bytes of a character that is not complete yet.
            bytes = b""
            # What writes: the C module, and append().
            send: tuple

            def readinto(self, buf):
                """Read a byte for os.dupterm(); return None if there is none, or no room for it."""
                n = None
                try:
                    wait = self.busy
                    if self.count >= _RING:
                        if not self.stdin.poll(0):
                            self.count = 0
                        elif time.ticks_diff(time.ticks_ms(), self.time) < _RING_TIMEOUT:
                            wait = True
                        # Else the program has read nothing for long, and what follows is lost, but for the Ctrl-C that
                        # may be in it.
                    if not wait:
                        n = self._webrepl.readinto(buf)
                        if n:
                            if self.count < _RING:
                                self.count += 1
                                self.time = time.ticks_ms()  # type: ignore[assignment]
                            # os.dupterm_notify() stops here, whatever follows.
                            wait = buf[0] == 3
                        elif self.ws.ioctl(_STREAM_GET_DATA_OPTS) == _CLOSE:
                            # It is answered, but if it has a code, _webrepl does not notice the end.
                            n = 0
                    if wait and _timer:
                        # lwIP ports don't call again for what has come.
                        _timer.init(mode=_timer.ONE_SHOT, period=_RING_PERIOD, callback=os.dupterm_notify)
                    return n
                except OSError as e:
                    # A connection that broke has ended; a file that can't be opened is to be told.
                    if e.args[0] < _ECONNABORTED:
                        raise
                    return 0
                except KeyboardInterrupt:
                    # Ctrl-C of the other console, on its way to the program.
                    buf[0] = 3
                    return 1

            def write(self, buf):
                """Send what is printed; a client that does not read for _WRITE_TIMEOUT is given up."""
                # Ctrl-C strikes at branches, and os.dupterm() would give up the client for it here: so there is none.
                try:
                    self.busy = True
                    client_s.settimeout(_WRITE_TIMEOUT)  # type: ignore[attr-defined]
                    n = self.send[(len(buf) < 2) & (buf[-1] >> 7) | (len(buf) > _FRAME)](buf)
                    client_s.settimeout(0)  # type: ignore[attr-defined]
                    self.busy = False
                    return n
                except Exception:
                    _drop()
                    print("WebREPL client is gone")

            def append(self, buf):
                """Append a byte to a character and write it once complete, or write what fits into a frame.

                Paste mode echoes characters in bytes, and a frame of text that is no UTF-8 ends the connection:
                RFC 6455 §8.1.
                """
                if len(buf) > 1:
                    return self._webrepl.write(buf[:_FRAME])
                self.bytes = rest = self.bytes + buf
                # RFC 3629 §3: the first byte tells how many there are.
                if len(rest) > max(1, (rest[0] >> 4) - 12):
                    self._webrepl.write(rest)
                    self.bytes = b""
                return 1

            def ioctl(self, op, _):
                """Close, which os.dupterm() asks for at the end of the session."""
                if op == _STREAM_CLOSE:
                    _drop()
                return 0

        term = Term()
        term.stdin = stdin = select.poll()
        stdin.register(sys.stdin, _POLLIN)
    except Exception:
        term = _webrepl._webrepl(websocket.websocket(cl, True))
    else:
        term.ws = ws = websocket.websocket(cl)
        term._webrepl = webrepl = _webrepl._webrepl(ws)
        term.send = (webrepl.write, term.append)
    os.dupterm(term)
    client_s = cl
    _term = term
    try:
        os.dupterm_notify(None)
        cl.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, callback)
        # What has come before is no event.
        callback(None)
    except Exception:
        # The REPL reads by itself then.
        pass


def _serve(listen_sock, count):
    """Accept a connection, yield its socket, answer its request, and close it unless it has become the client.

    Yields True in the end, which is at once if there is no connection, and before that None where more must come.
    """
    cl = None
    try:
        cl, addr = listen_sock.accept()
        try:
            # Or else each frame waits for the client's ACK of the one before.
            cl.setsockopt(_IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except Exception:
            pass
        request = _request(cl, count)
        # From accept() comes the generator itself.
        me = yield cl
        while (outcome := next(request)) is None:
            yield
        # What these hold is memory that the client can have.
        request = None
        if me:
            _new.remove(me)
        if outcome is False:
            send_html(cl)
        elif outcome is True:
            if client_s:
                ping = getattr(_term, "ping", None)
                if ping is not None:
                    # It may have gone, and its socket's turn is still to come.
                    os.dupterm_notify(None)
                term = os.dupterm(None)
                os.dupterm(term)
                if term is not _term or (ping and time.ticks_diff(time.ticks_ms(), ping) > _PONG_TIMEOUT):
                    _drop()
                    print("WebREPL client is gone")
            if client_s:
                print("Concurrent", _FROM, addr, "rejected")
                # RFC 6455 §5.5.1 and §7.4.1: a close frame, with a code that says to try again later, and a reason.
                cl.write(b"\x88\x13\x03\xf5WebREPL is in use")
                if ping == 0 and not _term.busy:
                    # A ping: RFC 6455 §5.5.2.
                    client_s.write(b"\x89\x00")
                    _term.ping = time.ticks_ms()  # type: ignore[attr-defined,assignment]
            else:
                print(_FROM + ":", addr)
                # What comes now stays for long: without garbage between, it leaves more room in one piece.
                import gc

                gc.collect()
                _attach(cl)
        elif outcome:
            cl.write(_RESPONSE % outcome)
    except Exception:
        # The connection broke, or there is too little memory for it. A tuple of both would want some, too. What has
        # been read of the request is not to stay until others come.
        request = None
    finally:
        if cl and cl is not client_s:
            cl.close()
    # A call that was scheduled before may still come.
    while True:
        yield True


def accept_conn(listen_sock) -> bool:
    """Accept a connection on the socket listen_sock and answer its request, waiting at most 5 s for it.

    Returns True if it is a WebSocket's and has become the client; False if it got the page, or an error, or there is
    a client already. As accept_handler of start() it answers as the request comes, and never waits.
    """
    serve = _serve(listen_sock, _REQUEST_TIMEOUT // _REQUEST_PERIOD)
    cl = next(serve)
    next(serve)
    serve.close()
    return cl is client_s


def setup_conn(port: int, accept_handler):
    """Listen on the TCP port; accept_handler, if not None, is called with the socket when there is a connection.

    Returns the socket, which is listen_s too. Raises OSError if the port is in use.
    """
    global listen_s, _new, _timer

    def accept(listen_sock):
        """Socket callback of the listening socket, for one connection or, on lwIP ports, all that came at once."""
        try:
            while True:
                serve = _serve(listen_sock, 0)
                # That is True, and so not a socket, when there are no more.
                next(serve).setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, serve.send)
                _new.append(serve)
                # Two may be on their way, as browsers open a connection to spare; the one before has had its time.
                if len(_new) > 2:
                    _new.pop(0).close()
                # What has come before this call is no event.
                serve.send(serve)
        except Exception:
            # No more, or no memory for more.
            pass

    s = socket.socket()
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("", port))
        s.listen(4)
        if accept_handler:
            s.settimeout(0)
            if accept_handler is accept_conn:
                _new = []
                accept_handler = accept
            try:
                s.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, accept_handler)
            except Exception:
                print("Use start_foreground()")
                return None
        listen_s = s
    finally:
        if s is not listen_s:
            s.close()
    try:
        import machine

        _timer = _timer or machine.Timer(-1)
    except Exception:
        # Ports without timers of this kind call back as long as there is something to read.
        pass
    shown = False
    for i in range(3):
        try:
            import network

            # The station, the access point, and the cable.
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
    while _new:
        _new.pop().close()
    if listen_s:
        listen_s.close()
    listen_s = None
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
            import sys

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
