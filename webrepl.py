# WebREPL: a board's REPL and files over a WebSocket.
# MIT license; Copyright (c) 2026 the WebREPL authors

import binascii
import hashlib
import io
import os
import select
import socket
import sys
import time

import _webrepl
import websocket
from micropython import const

# The public names: https://docs.micropython.org/en/latest/library/webrepl.html
DEBUG = 0
static_host = "https://micropython.org/webrepl/"
listen_s = None
client_s = None

# What os.dupterm() got from us; when the client was sent a ping, None if it has been heard of since; the requests
# that came last, which may not be complete yet; the timer of _come_back().
_term = None
_pinged = None
_requests: list = []
_timer = None

# What is kept of a line of a request, and what is read of all of it, in bytes: a browser may bring 4 KB of cookies.
_LINE = const(128)
_REQUEST = const(8192)
# For a request that is waited for, in ms, and for a client to read what is printed, in s.
_REQUEST_TIMEOUT = const(5000)
_WRITE_TIMEOUT = const(2)
# How long a client may leave a ping unanswered if others want its place, in ms.
_PONG_TIMEOUT = const(5000)
# What surely fits into the stdin ring buffer: an ESP8266's takes 255 bytes, an ESP32's 259.
_RING = const(255)
# How long a program may leave it full until what follows is searched for Ctrl-C, and how often to look, in ms.
_RING_TIMEOUT = const(1000)
_RING_PERIOD = const(5)

# The socket option of a function to call when the socket is readable, which socket has no name for.
_SO_CALLBACK = const(20)
# The ioctl() request of close(), as in py/stream.h.
_STREAM_CLOSE = const(4)
# All that sockets raise, and nothing that files do, is at or above this on any port.
_ECONNABORTED = const(103)


def _request(cl):
    """Parse the HTTP request that the stream cl brings, as it comes.

    Yields None where more must come, and in the end what the request is: the bytes of Sec-WebSocket-Key for a
    WebSocket's, True for one of the page, else the status to answer with, or "" for what is no HTTP. Reads nothing
    beyond the request.
    """
    size = 0
    line = method = path = key = b""
    version = b"13"
    found = set()
    while True:
        # At most to the end of the line: what follows the request stays in the socket.
        part = cl.readline(_LINE)
        if part is None:
            yield
            continue
        size += len(part)
        if size > _REQUEST:
            yield "431 Too Large"
        line = (line + part)[:_LINE]
        # RFC 9112 §2.2: empty lines before the request are passed over. A method has capital letters.
        if not part or (not method and not b"A" <= line[:1] <= b"Z" and line.strip()):
            yield ""
        if part[-1] != 10 and (method or len(line) < _LINE):
            continue
        if DEBUG:
            print(line)
        words = line.split()
        if not method:
            # A long line's end is cut off; its path is none of ours.
            if words and len(line) < _LINE and (len(words) < 3 or not words[2].startswith(b"HTTP/")):
                yield ""
            method, path = (words + [b"", b""])[:2]
        elif words:
            name, _, value = line.partition(b":")
            name = name.lower()
            value = value.strip()
            # RFC 6455 §4.2.1. The official command-line client sends no version, and foo for a key.
            if name == b"sec-websocket-key":
                key = value
            elif name == b"sec-websocket-version":
                version = value
            for token in value.lower().split(b","):
                if (name, token.strip()) in ((b"upgrade", b"websocket"), (b"connection", b"upgrade")):
                    found.add(name)
        elif method == b"GET" and len(found) == 2 and key:
            # RFC 6455 §4.4: the version to try instead.
            yield key if version == b"13" else "426 Upgrade Required\r\nSec-WebSocket-Version: 13"
        else:
            yield path.split(b"?")[0] == b"/" or "404 Not Found"
        line = b""


def _wait(request):
    """Run the generator to what it yields in the end, for _REQUEST_TIMEOUT at most: then return an empty str."""
    start = time.ticks_ms()
    for outcome in request:
        if outcome is not None:
            return outcome
        if time.ticks_diff(time.ticks_ms(), start) > _REQUEST_TIMEOUT:
            break
        time.sleep_ms(10)
    return ""


def _switch_protocols(cl, key):
    """Answer a WebSocket's opening handshake: RFC 6455 §4.2.2."""
    cl.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
    cl.write(binascii.b2a_base64(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())[:-1])
    cl.write("\r\n\r\n")


def server_handshake(cl) -> bool:
    """Read the HTTP request on the socket cl and answer it, if it is a WebSocket's.

    Waits at most 5 s for all of it. Returns False for anything else, which is left to the caller to answer, as by
    send_html(cl), and to close. Raises OSError if the connection breaks.
    """
    cl.setblocking(False)
    key = _wait(_request(cl))
    cl.setblocking(True)
    if not isinstance(key, bytes):
        return False
    _switch_protocols(cl, key)
    return True


def send_html(cl) -> None:
    """Send the page that loads the client from static_host to the socket cl, and close it."""
    try:
        # Without an icon of its own here, browsers ask the board for one.
        cl.write(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
            '<!DOCTYPE html><meta charset=utf-8><title>WebREPL</title><link rel=icon href="data:,"><base href="%s">'
            "<script src=webrepl_content.js></script>" % static_host
        )
    finally:
        cl.close()


class _Term(io.IOBase):
    """What os.dupterm() gets: the _webrepl object, with the stdin ring buffer and slow clients in mind."""

    def __init__(self, cl, webrepl, stdin):
        self._cl = cl
        self._webrepl = webrepl
        self._stdin = stdin
        # How much was read since the ring buffer was last seen empty, and when it was found full.
        self._fed = 0
        self._full = time.ticks_ms()
        self._writing = False
        # The beginning of a character that is still to be completed.
        self._rest = b""
        self._ways = self._all_ways = (webrepl.write, self._write_text, self._write_long, self._write_long)

    def readinto(self, buf):
        """Read a byte for os.dupterm(); return None if there is none, or no room for it."""
        try:
            if self._writing:
                # We are in a callback, the socket is in use.
                _come_back()
                return None
            if self._fed >= _RING:
                now = time.ticks_ms()
                if not self._stdin.poll(0):
                    self._fed = 0
                else:
                    _come_back()
                    if self._fed == _RING:
                        self._fed += 1
                        self._full = now
                    if time.ticks_diff(now, self._full) < _RING_TIMEOUT:
                        return None
            self._cl.setblocking(False)
            n = self._webrepl.readinto(buf)
            while n and self._fed > _RING and buf[0] != 3:
                # The program has read nothing for long, so this is lost, up to the Ctrl-C that may follow.
                n = self._webrepl.readinto(buf)
            self._cl.settimeout(_WRITE_TIMEOUT)
            if n:
                if self._fed < _RING:
                    self._fed += 1
                if buf[0] == 3:
                    # os.dupterm_notify() stops here.
                    _come_back()
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
            self._writing = True
            n = self._ways[2 * (len(buf) > 65535) + (buf[-1] > 127)](buf)
            self._writing = False
            return n
        except (OSError, MemoryError):
            _lose()
        except IndexError:
            # Nothing to write.
            self._writing = False
        return len(buf)

    def _write_text(self, buf):
        """Send what ends in other characters than ASCII, and keep the beginning of one until the rest comes.

        Paste mode echoes them byte by byte, and a client fails on a frame that is not UTF-8: RFC 6455 §8.1.
        """
        text = self._rest + buf
        self._rest = b""
        self._ways = self._all_ways
        try:
            str(text, "utf-8")
            return self._webrepl.write(text)
        except UnicodeError:
            if len(text) > 3:
                return self._webrepl.write(text)
        self._rest = text
        self._ways = (self._write_text,) * 4
        return len(buf)

    def _write_long(self, buf):
        """Send more than a frame takes, in halves: a loop would have a branch."""
        buf = memoryview(buf)
        half = len(buf) // 2
        self.write(buf[:half])
        return half + self.write(buf[half:])

    def ioctl(self, request, arg):
        """Close, which os.dupterm() asks for at the end of the session."""
        if request == _STREAM_CLOSE:
            _drop()
        return 0


def _come_back():
    """Have the client read from in a while: on lwIP ports nobody calls again for what is in the socket already.

    Other ports call as long as there is something to read, and need not have a timer of this kind.
    """
    global _timer
    try:
        from machine import Timer

        _timer = _timer or Timer(-1)
        _timer.init(mode=Timer.ONE_SHOT, period=_RING_PERIOD, callback=_on_data)
    except (ImportError, AttributeError, ValueError, OSError):
        pass


def _on_data(_):
    """Socket callback of the client."""
    # No branch here either, or Ctrl-C would strike here instead of in the program.
    global _pinged
    _pinged = None
    os.dupterm_notify(None)


def _drop():
    """Detach and close the client, if there is one."""
    global client_s, _term
    term = os.dupterm(None)
    if term is not _term:
        # Somebody has put another stream there since.
        os.dupterm(term)
    if client_s:
        client_s.close()
    client_s = _term = None


def _lose():
    _drop()
    print("WebREPL client is gone")


def _is_free():
    """Tell if there is room for a client: the present one has to leave if it is not heard of any more."""
    global _pinged
    if client_s and hasattr(os, "dupterm_notify"):
        # It may have gone, and its socket's turn is still to come.
        os.dupterm_notify(None)
        if _pinged is None:
            if client_s and not _term._writing:
                # A ping: RFC 6455 §5.5.2.
                client_s.write(b"\x89\x00")
                _pinged = time.ticks_ms()
        elif time.ticks_diff(time.ticks_ms(), _pinged) > _PONG_TIMEOUT:
            _lose()
    return not client_s


def _attach(cl, addr):
    """Make the socket cl, past its handshake, the client and the terminal."""
    global client_s, _term, _pinged
    print("WebREPL connection from:", addr)
    stdin = select.poll()
    stdin.register(sys.stdin, select.POLLIN)
    _term = _Term(cl, _webrepl._webrepl(websocket.websocket(cl)), stdin)
    client_s = cl
    _pinged = None
    cl.settimeout(_WRITE_TIMEOUT)
    os.dupterm(_term)
    if hasattr(os, "dupterm_notify"):
        cl.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, _on_data)
        _on_data(cl)


def _accept(listen_sock):
    """Accept a connection; return a generator that serves it, and its socket."""
    cl, addr = listen_sock.accept()
    if DEBUG:
        print("connection from", addr)
    cl.setblocking(False)
    try:
        # Or else each frame waits for the client's ACK of the one before.
        cl.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (AttributeError, OSError):
        pass
    return _serve(cl, addr), cl


def _serve(cl, addr):
    """Answer the request on the socket cl, and close cl unless it has become the client. Yields like _request()."""
    try:
        for outcome in _request(cl):
            if outcome is None:
                yield
            else:
                break
        cl.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, None)
        if outcome is True:
            send_html(cl)
        elif isinstance(outcome, bytes):
            _switch_protocols(cl, outcome)
            if _is_free():
                _attach(cl, addr)
            else:
                print("Concurrent WebREPL connection from", addr, "rejected")
                # RFC 6455 §5.5.1 and §7.4.1: a close frame, with a code that says to try again later, and a reason.
                cl.write(b"\x88\x13\x03\xf5WebREPL is in use")
        elif outcome:
            cl.write("HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % outcome)
    except (OSError, MemoryError):
        if cl is client_s:
            _drop()
    finally:
        if cl is not client_s:
            cl.close()
    while True:
        yield True


def accept_conn(listen_sock) -> bool:
    """Accept a connection on the socket listen_sock and answer its request, waiting at most 5 s for it.

    Returns True if it is a WebSocket's and has become the client; False if it got the page, or an error, or there is
    a client already. As accept_handler of start() it answers as the request comes, and never waits.
    """
    try:
        serve, cl = _accept(listen_sock)
    except OSError:
        return False
    try:
        _wait(serve)
    finally:
        serve.close()
    return cl is client_s


def _on_accept(listen_sock):
    """Socket callback of the listening socket, for one connection or, on lwIP ports, all that came at once."""
    while True:
        try:
            serve, cl = _accept(listen_sock)
        except (OSError, MemoryError):
            return
        _requests.append(serve)
        # Two may be on their way, as browsers open a connection to spare; the one before has had its time.
        if len(_requests) > 2:
            _requests.pop(0).close()
        cl.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, serve.send)
        # What has come before this call is no event.
        next(serve)


def setup_conn(port: int, accept_handler):
    """Listen on the TCP port; accept_handler, if not None, is called with the socket when there is a connection.

    Returns the socket, which is listen_s too. Raises OSError if the port is in use.
    """
    global listen_s
    listen_s = socket.socket()
    try:
        listen_s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listen_s.bind(socket.getaddrinfo("0.0.0.0", port)[0][-1])
        listen_s.listen(4)
        if accept_handler:
            listen_s.setblocking(False)
            if accept_handler is accept_conn:
                accept_handler = _on_accept
            listen_s.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, accept_handler)
    except BaseException:
        stop()
        raise
    shown = False
    for name, args in (("WLAN", (0,)), ("WLAN", (1,)), ("LAN", ())):
        try:
            import network

            interface = getattr(network, name)(*args)
            if interface.active():
                print("WebREPL server started on http://%s:%d/" % (interface.ifconfig()[0], port))
                shown = True
        except Exception:
            # A port without it, or one that wants to be told its pins.
            pass
    if not shown:
        print("WebREPL server started on port", port)
    return listen_s


def _set_password(password):
    # A control character could not be typed, and a NUL would end the password early.
    if isinstance(password, str) and password and min(password) >= " ":
        try:
            return _webrepl.password(password)
        except ValueError:
            pass
    raise ValueError("WebREPL password must be a string of 1 to 9 bytes")


def stop() -> None:
    """Close the listening socket and all connections, and detach the WebREPL from the terminal."""
    global listen_s
    while _requests:
        _requests.pop().close()
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
    stop()
    mode = "manual override"
    if password is None:
        mode = "normal"
        try:
            sys.modules.pop("webrepl_cfg", None)
            import webrepl_cfg

            del sys.modules["webrepl_cfg"]
            _set_password(webrepl_cfg.PASS)
            static_host = getattr(webrepl_cfg, "BASE", static_host)
        except Exception as e:
            print("WebREPL not started, webrepl_cfg.py: %r\nTo set it up: import webrepl_setup" % e)
            return
    else:
        _set_password(password)
    if not accept_handler:
        print("Starting webrepl in foreground mode")
    setup_conn(port, accept_handler)
    if accept_handler:
        print("Started webrepl in", mode, "mode")
    else:
        while listen_s and not accept_conn(listen_s):
            pass


def start_foreground(port: int = 8266, password: str | None = None) -> None:
    """Start the server as start() does, and serve until a WebSocket client is in."""
    start(port, password, None)
