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
from micropython import const, schedule

__version__ = "1.0.0"

# The public names: https://docs.micropython.org/en/latest/library/webrepl.html
DEBUG = 0
static_host = "https://micropython.org/webrepl/"
listen_s = None
client_s = None

# What os.dupterm() got from us; when the client was sent a ping, in ticks,
# or 0 if it has been heard of since; the requests
# that came last, which may not be complete yet; the timer of _later().
_term = None
_pinged = 0
_new: list = []
_timer = None

# True while what is printed may be waiting for the client.
_busy = False

# Tells if the stdin ring buffer has something; None where poll() does not know.
try:
    _stdin = select.poll()
    _stdin.register(sys.stdin, select.POLLIN)
except Exception:
    _stdin = None

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
# The ioctl() request of websocket for the opcode of the frame that came last, as in py/stream.h, and that of a close
# frame: RFC 6455 §5.5.1.
_STREAM_GET_DATA_OPTS = const(8)
_CLOSE = const(8)
# All that sockets raise, and nothing that files do, is at or above this on any port.
_ECONNABORTED = const(103)


def _request(cl):
    """Parse the HTTP request that the stream cl brings, as it comes.

    Yields None where more must come, and in the end what the request is: the bytes of Sec-WebSocket-Key for a
    WebSocket's, True for one of the page, else the status to answer with, or "" for what is no HTTP. Reads nothing
    beyond the request.
    """
    size = upgrade = connection = 0
    line = method = path = key = b""
    version = b"13"
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
        words = line.split()
        # RFC 9112 §2.2: empty lines before the request are passed over. A method has capital letters.
        if not part or (not method and words and not line[:1].isupper()):
            yield ""
        if part[-1] != 10 and (method or len(line) < _LINE):
            continue
        if DEBUG:
            print(line)
        if not method:
            # The end of a long line is not kept, and its path is none of ours.
            if words and len(line) < _LINE and (len(words) < 3 or not words[2].startswith(b"HTTP/")):
                yield ""
            method, path = (words + [b"", b""])[:2]
        elif words:
            # RFC 6455 §4.2.1. The official command-line client sends no version, and foo for a key.
            name, _, value = line.partition(b":")
            name = name.lower()
            words = value.lower().replace(b",", b" ").split()
            if name == b"upgrade":
                upgrade |= b"websocket" in words
            elif name == b"connection":
                connection |= b"upgrade" in words
            elif name == b"sec-websocket-key":
                key = value.strip()
            elif name == b"sec-websocket-version":
                version = value.strip()
        elif upgrade and connection and key and method == b"GET":
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


def _reply(cl, status, connection="close", page=""):
    """Send an HTTP response; further header fields may follow the status."""
    cl.write("HTTP/1.1 %s\r\nConnection: %s\r\n\r\n%s" % (status, connection, page))


def _upgrade(cl, key):
    """Answer a WebSocket's opening handshake: RFC 6455 §4.2.2."""
    key = binascii.b2a_base64(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    status = "101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
    _reply(cl, status + key.decode().strip(), "Upgrade")


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
    _upgrade(cl, key)
    return True


def send_html(cl) -> None:
    """Send the page that loads the client from static_host to the socket cl, and close it."""
    try:
        # Without an icon of its own here, browsers ask the board for one.
        _reply(
            cl,
            "200 OK\r\nContent-Type: text/html",
            page="<!DOCTYPE html><meta charset=utf-8><title>WebREPL</title><link rel=icon href=data:,>"
            '<base href="%s"><script src=webrepl_content.js></script>' % static_host,
        )
    finally:
        cl.close()


class _Term(getattr(io, "IOBase", object)):  # type: ignore[misc]
    """What os.dupterm() gets: the _webrepl object, with the stdin ring buffer and slow clients in mind."""

    def __init__(self, ws):
        self._ws = ws
        self._webrepl = webrepl = _webrepl._webrepl(ws)
        # How much was read since the ring buffer was last seen empty, and since when it is full, in ticks, or 0.
        self._fed = self._full = 0
        # Bytes of a character that is not complete yet.
        self._rest = b""
        self._ways = (webrepl.write, self._write_byte, self._write_long)

    def readinto(self, buf):
        """Read a byte for os.dupterm(); return None if there is none, or no room for it."""
        try:
            full = False
            if self._fed > _RING // 2:
                if _stdin.poll(0):
                    full = self._fed >= _RING
                else:
                    self._fed = self._full = 0
            if full or _busy:
                _later()
                self._full = self._full or time.ticks_ms()  # type: ignore[assignment]
                # If the program has read nothing for long, what follows is lost, up to the Ctrl-C that may be in it.
                if _busy or time.ticks_diff(time.ticks_ms(), self._full) < _RING_TIMEOUT:
                    return None
            client_s.setblocking(False)
            n = self._webrepl.readinto(buf)
            while full and n and buf[0] != 3:
                n = self._webrepl.readinto(buf)
            client_s.settimeout(_WRITE_TIMEOUT)
            if n is None and self._ws.ioctl(_STREAM_GET_DATA_OPTS) == _CLOSE:
                # It is answered, but if it has a code, _webrepl does not notice the end.
                return 0
            if n:
                self._fed += 1
                if buf[0] == 3:
                    # os.dupterm_notify() stops here, whatever follows.
                    _later()
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
        global _busy
        # Ctrl-C strikes at branches, and os.dupterm() would give up the client for it here: so there is none.
        try:
            _busy = True
            n = self._ways[(len(buf) < 2) & (buf[-1] > 127) | 2 * (len(buf) > 65535)](buf)
            _busy = False
            return n
        except IndexError:
            # Nothing to write.
            _busy = False
        except Exception:
            _lose()
        return len(buf)

    def _write_byte(self, buf):
        """Send a character when it is complete. Paste mode echoes it in bytes, and a frame of text that is no UTF-8
        ends the connection: RFC 6455 §8.1.
        """
        text = self._rest + buf
        self._rest = b""
        try:
            str(text, "utf-8")
        except ValueError:
            if len(text) < 4:
                self._rest = text
                return 1
        self._webrepl.write(text)
        return 1

    def _write_long(self, buf):
        """Send in halves what does not fit into a frame: a loop would have a branch."""
        half = len(buf) // 2
        buf = memoryview(buf)
        return self.write(buf[:half]) + self.write(buf[half:])

    def ioctl(self, request, arg):
        """Close, which os.dupterm() asks for at the end of the session."""
        if request == _STREAM_CLOSE:
            _drop()
        return 0


def _later():
    """Have the client read from after a write, or else in a while. lwIP ports don't call again for what has come.

    Other ports call as long as there is something to read, and need not have a timer of this kind.
    """
    global _timer
    try:
        if _busy:
            schedule(_on_data, None)
            return
        from machine import Timer

        _timer = _timer or Timer(-1)
        _timer.init(mode=Timer.ONE_SHOT, period=_RING_PERIOD, callback=_on_data)
    except Exception:
        pass


def _on_data(_):
    """Socket callback of the client."""
    # No branch here either, or Ctrl-C would strike here instead of in the program.
    global _pinged
    _pinged = 0
    os.dupterm_notify(None)


def _drop():
    """Detach and close the client, if there is one."""
    global client_s, _term, _busy
    term = os.dupterm(None)
    if term is not _term:
        # Somebody has put another stream there since.
        os.dupterm(term)
    if client_s:
        # That closes the file of a transfer, too, if _webrepl is the one in Python.
        getattr(_term, "_webrepl", _term).close()
        client_s.close()
    client_s = _term = None
    _busy = False


def _lose():
    _drop()
    print("WebREPL client is gone")


def _ask_client():
    """Drop the client, if there is one, if it has gone, or has not been heard of since it was asked for long."""
    global _pinged
    if client_s and hasattr(os, "dupterm_notify"):
        # It may have gone, and its socket's turn is still to come.
        os.dupterm_notify(None)
        term = os.dupterm(None)
        os.dupterm(term)
        if term is not _term:
            _drop()
        elif _pinged:
            if time.ticks_diff(time.ticks_ms(), _pinged) > _PONG_TIMEOUT:
                _lose()
        elif client_s and not _busy:
            # A ping: RFC 6455 §5.5.2.
            client_s.write(b"\x89\x00")
            _pinged = time.ticks_ms()


def _attach(cl, addr):
    """Make the socket cl, past its handshake, the client and the terminal."""
    global client_s, _term, _pinged
    print("WebREPL connection from:", addr)
    if _stdin and hasattr(io, "IOBase"):
        _term = _Term(websocket.websocket(cl))
    else:
        _term = _webrepl._webrepl(websocket.websocket(cl, True))
    client_s = cl
    _pinged = 0
    cl.settimeout(_WRITE_TIMEOUT)
    os.dupterm(_term)
    if hasattr(os, "dupterm_notify"):
        try:
            cl.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, _on_data)
        except Exception:
            # The REPL reads by itself then.
            pass
        _on_data(cl)


def _accept(listen_sock):
    """Accept a connection; return a generator that serves it, and its socket."""
    cl, addr = listen_sock.accept()
    cl.setblocking(False)
    try:
        # Or else each frame waits for the client's ACK of the one before.
        cl.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except Exception:
        pass
    return _serve(cl, addr), cl


def _serve(cl, addr):
    """Answer the request on the socket cl, and close cl unless it has become the client. Yields like _request()."""
    try:
        for outcome in _request(cl):
            if outcome is not None:
                break
            yield
        if outcome is True:
            send_html(cl)
        elif isinstance(outcome, str):
            if outcome:
                _reply(cl, outcome)
        else:
            _upgrade(cl, outcome)
            _ask_client()
            if client_s:
                print("Concurrent WebREPL connection from", addr, "rejected")
                # RFC 6455 §5.5.1 and §7.4.1: a close frame, with a code that says to try again later, and a reason.
                cl.write(b"\x88\x13\x03\xf5WebREPL is in use")
            else:
                _attach(cl, addr)
    except Exception:
        # The connection broke, or there is too little memory for it. A tuple of both would want some, too.
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
    try:
        while True:
            serve, cl = _accept(listen_sock)
            _new.append(serve)
            # Two may be on their way, as browsers open a connection to spare; the one before has had its time.
            if len(_new) > 2:
                _new.pop(0).close()
            cl.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, serve.send)
            # What has come before this call is no event.
            next(serve)
    except Exception:
        # No more, or no room for more.
        pass


def setup_conn(port: int, accept_handler):
    """Listen on the TCP port; accept_handler, if not None, is called with the socket when there is a connection.

    Returns the socket, which is listen_s too. Raises OSError if the port is in use.
    """
    global listen_s
    listen_s = socket.socket()
    try:
        listen_s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listen_s.bind(("", port))
        listen_s.listen(4)
        if accept_handler:
            listen_s.setblocking(False)
            if accept_handler is accept_conn:
                accept_handler = _on_accept
            try:
                listen_s.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, accept_handler)
            except Exception:
                print("No socket callbacks, use webrepl.start_foreground()")
                return stop()
    except BaseException:
        stop()
        raise
    shown = False
    for name, args in (("WLAN", (0,)), ("WLAN", (1,)), ("LAN", ())):
        try:
            import network

            interface = getattr(network, name)(*args)
            if interface.active():
                print("WebREPL server started on", "http://%s:%d/" % (interface.ifconfig()[0], port))
                shown = True
        except Exception:
            # A port without it, or one that wants to be told its pins.
            pass
    if not shown:
        print("WebREPL server started on", "port", port)
    return listen_s


def _password(password):
    # A control character could not be typed, and a NUL would end the password early.
    if isinstance(password, str) and password and min(password) >= " ":
        try:
            return _webrepl.password(password)
        except ValueError:
            pass
    raise ValueError("Password: str of 1 to 9 bytes")


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
    stop()
    mode = "manual override"
    if password is None:
        mode = "normal"
        try:
            sys.modules.pop("webrepl_cfg", None)
            import webrepl_cfg

            del sys.modules["webrepl_cfg"]
            _password(webrepl_cfg.PASS)
            static_host = getattr(webrepl_cfg, "BASE", static_host)
        except Exception as e:
            print("webrepl_cfg: %r\nTo set it up: import webrepl_setup" % e)
            return
    else:
        _password(password)
    if not accept_handler:
        print("Starting webrepl in foreground mode")
    setup_conn(port, accept_handler)
    if not accept_handler:
        while listen_s and not accept_conn(listen_s):
            pass
    elif listen_s:
        print("Started webrepl in", mode, "mode")


def start_foreground(port: int = 8266, password: str | None = None) -> None:
    """Start the server as start() does, and serve until a WebSocket client is in."""
    start(port, password, None)
