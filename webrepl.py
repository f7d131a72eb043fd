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

# Python reference for the public names: https://docs.micropython.org/en/latest/library/webrepl.html
DEBUG = 0
static_host = "https://micropython.org/webrepl/"
listen_s = None
client_s = None

# What os.dupterm() got from us, the requests that are still coming in as (socket, address, parser), and when the
# client was asked for a sign of life, None if it has given one since.
_term = None
_requests = []
_pinged = None

# The most that is kept of a line of a request, and the most that is read of all of it: a browser may bring 4 KB of
# cookies. Both in bytes.
_LINE = const(128)
_REQUEST = const(8192)
# For requests that are waited for, and for clients that do not read what is printed, in seconds.
_REQUEST_TIMEOUT = const(5)
_WRITE_TIMEOUT = const(2)
# How long a client may leave a ping unanswered while others want its place, in ms.
_PONG_TIMEOUT = const(5000)
# What surely fits into the stdin ring buffer: an ESP8266's takes 255 bytes, an ESP32's 259.
_RING = const(255)
# How long a program may leave the ring buffer full before Ctrl-C is looked for in what comes after it, and how often
# to look at the ring buffer meanwhile, in ms.
_RING_TIMEOUT = const(1000)
_RING_PERIOD = const(20)

# setsockopt() calls a function when the socket is readable; the number has no name in socket.
_SO_CALLBACK = const(20)
# The least errno of the network's: ECONNABORTED, ECONNRESET and their like, on all ports.
_ESOCKET = const(100)
# extmod/websocket and py/stream.h: ioctl() request.
_STREAM_CLOSE = const(4)

# What a request turns out to be, if not a WebSocket's key.
_NOT_HTTP = const(0)
_PAGE = const(1)
_NOT_FOUND = const(2)
_WRONG_VERSION = const(3)
_TOO_LARGE = const(4)

_ERRORS = (
    "404 Not Found\r\n",
    # RFC 6455 §4.2.2: the version to try instead.
    "426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "431 Request Header Fields Too Large\r\n",
)


def _request(cl):
    """Parse the HTTP request that stream cl brings, as it comes: yield None where more must come, then the outcome.

    The outcome is the bytes of Sec-WebSocket-Key, or one of the numbers above. Nothing is read beyond the request.
    """
    size = 0
    line = method = key = b""
    path = None
    version = b"13"
    upgrade = 0
    while True:
        # At most the rest of a line, so that what follows the request stays in the socket.
        part = cl.readline(_LINE)
        if part is None:
            yield
            continue
        size += len(part)
        line = (line + part)[:_LINE]
        if size > _REQUEST:
            yield _TOO_LARGE
        # RFC 9112 §2.2: an empty line before the request is ignored. A method starts with a capital.
        if not part or path is None and not b"A" <= line[:1] <= b"Z" and line.strip():
            yield _NOT_HTTP
        if part[-1] != 10:
            if path is not None or len(line) < _LINE:
                continue
        if DEBUG:
            print(line)
        if path is None:
            words = line.split()
            if len(words) > 2 and words[2].startswith(b"HTTP/") or len(words) == 2 and len(line) == _LINE:
                method, path = words[:2]
            elif words:
                yield _NOT_HTTP
            if part[-1] != 10:
                continue
        elif not line.strip():
            # RFC 6455 §4.2.1; the official command-line client sends neither a version nor a real key.
            if method == b"GET" and upgrade == 3 and key:
                yield key if version == b"13" else _WRONG_VERSION
            yield _PAGE if path.split(b"?")[0] == b"/" else _NOT_FOUND
        name, _, value = line.partition(b":")
        name = name.lower()
        value = value.strip()
        if name == b"sec-websocket-key":
            key = value
        elif name == b"sec-websocket-version":
            version = value
        elif name in (b"upgrade", b"connection"):
            for token in value.lower().split(b","):
                token = token.strip()
                if name == b"upgrade" and token == b"websocket":
                    upgrade |= 1
                elif name == b"connection" and token == b"upgrade":
                    upgrade |= 2
        line = b""


def _wait(cl):
    """Read the request on cl to its end, whatever that takes up to _REQUEST_TIMEOUT; return what _request() found."""
    start = time.ticks_ms()
    cl.setblocking(False)
    try:
        for outcome in _request(cl):
            if outcome is not None:
                return outcome
            if time.ticks_diff(time.ticks_ms(), start) > _REQUEST_TIMEOUT * 1000:
                break
            time.sleep_ms(10)
    except OSError:
        pass
    return _NOT_HTTP


def _switch_protocols(cl, key):
    """Answer a WebSocket's opening handshake: RFC 6455 §4.2.2."""
    accept = binascii.b2a_base64(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())[:-1]
    cl.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + accept
        + b"\r\n\r\n"
    )


def server_handshake(cl) -> bool:
    """Read the HTTP request on the socket cl and answer it, if it is a WebSocket's.

    Waits at most 5 s for the request. Returns False if it was none, or not one for a WebSocket: send_html(cl) or
    cl.close() is up to the caller then.
    """
    key = _wait(cl)
    cl.setblocking(True)
    if isinstance(key, int):
        return False
    _switch_protocols(cl, key)
    return True


def send_html(cl) -> None:
    """Send the page that loads the client from static_host to the socket cl, and close it."""
    try:
        # The icon keeps browsers from asking the board for one.
        page = (
            '<!DOCTYPE html><meta charset="utf-8"><title>WebREPL</title><link rel="icon" href="data:,">'
            '<base href="%s"><script src="webrepl_content.js"></script>' % static_host
        )
        cl.write(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n"
            "Connection: close\r\n\r\n%s" % (len(page.encode()), page)
        )
    finally:
        cl.close()


class _Term(io.IOBase):
    """What os.dupterm() gets: the _webrepl object, with the stdin ring buffer and slow clients in mind."""

    def __init__(self, cl, webrepl, stdin):
        self._cl = cl
        self._webrepl = webrepl
        self._stdin = stdin
        # How much was read since the ring buffer was last seen empty, and since when it is full.
        self._fed = 0
        self._full = None
        # True while a write may be waiting for the client.
        self._busy = False
        self._ways = self._all_ways = (webrepl.write, self._write_text, self._write_long, self._write_long)
        self._rest = b""

    def readinto(self, buf):
        """Read a byte for os.dupterm(); return None if there is none, or no room for it."""
        try:
            if self._busy:
                # Nested in a write: the socket is not ours to read now.
                _come_back(False)
                return None
            count = 1
            if self._fed >= _RING:
                if self._stdin.poll(0):
                    if self._full is None:
                        self._full = time.ticks_ms()
                        _come_back(True)
                        return None
                    _come_back(False)
                    if time.ticks_diff(time.ticks_ms(), self._full) < _RING_TIMEOUT:
                        return None
                    # The program has not read for long: drop what would not fit, up to a Ctrl-C.
                    count = _RING
                else:
                    self._fed = 0
                    self._full = None
            self._cl.setblocking(False)
            while count:
                n = self._webrepl.readinto(buf)
                if n is None or n == 0 or buf[0] == 3:
                    break
                count -= 1
            self._cl.settimeout(_WRITE_TIMEOUT)
            if n:
                if self._full is not None and buf[0] != 3:
                    return None
                self._fed += 1
                if buf[0] == 3:
                    # os.dupterm_notify() stops here; there may be more.
                    _come_back(True)
            return n
        except OSError as e:
            # A socket's errors are all above a file's; a connection that broke is the end of it.
            if e.errno < _ESOCKET:
                raise
            return 0
        except KeyboardInterrupt:
            # Ctrl-C on the other console, and not for us: hand it on.
            buf[0] = 3
            return 1

    def write(self, buf):
        """Send what is printed to the client, which has _WRITE_TIMEOUT seconds to take it."""
        # No branch on this way: one is where Ctrl-C strikes, and os.dupterm() would drop the client for it.
        try:
            self._busy = True
            n = self._ways[2 * (len(buf) > 65535) + (buf[-1] > 127)](buf)
            self._busy = False
            return n
        except Exception as e:
            if buf:
                if DEBUG:
                    sys.print_exception(e)
                _drop()
                print("WebREPL client does not read, disconnected")
            return len(buf)

    def _write_text(self, buf):
        """Send text that ends in a character that is not ASCII: if it ends within it, the rest of it is waited for.

        RFC 6455 §8.1: a client fails on a text frame that is not UTF-8, as a character echoed byte by byte is not.
        """
        text = self._rest + buf
        try:
            str(text, "utf-8")
            self._rest = b""
            self._ways = self._all_ways
            return self._webrepl.write(text)
        except UnicodeError:
            end = len(text)
            for i in range(1, 4):
                first = text[-i:][0]
                if first >= 0xC0:
                    if i < 2 + (first >= 0xE0) + (first >= 0xF0):
                        end -= i
                    break
            self._rest = text[end:]
            self._ways = (self._write_text,) * 4 if self._rest else self._all_ways
            if end:
                self._webrepl.write(text[:end])
            return len(buf)

    def _write_long(self, buf):
        """Send more than fits into a frame, without a loop for the reason that write() names."""
        half = len(buf) // 2
        buf = memoryview(buf)
        self.write(buf[:half])
        return half + self.write(buf[half:])

    def ioctl(self, request, arg):
        """Close, when os.dupterm() does at the end of the session; nothing else is asked for in earnest."""
        if request == _STREAM_CLOSE:
            _forget_client()
        return 0


_timer = None


def _come_back(soon):
    """Read from the client again: soon, when the REPL has drained the ring buffer; or in a while.

    Sockets of lwIP ports call but once for what has arrived. On other ports this is not needed, and without a Timer
    of the right kind not done.
    """
    global _timer
    try:
        if soon:
            schedule(_on_data, None)
        else:
            from machine import Timer

            if _timer is None:
                _timer = Timer(-1)
            _timer.init(mode=Timer.ONE_SHOT, period=_RING_PERIOD, callback=_on_data)
    except (ImportError, AttributeError, RuntimeError, ValueError, OSError):
        pass


def _on_data(_):
    """Socket callback: the client has sent something."""
    # No branch here either: Ctrl-C would strike in this function, not in the program.
    global _pinged
    _pinged = None
    os.dupterm_notify(None)


def _forget_client():
    global client_s, _term, _pinged
    cl = client_s
    client_s = _term = _pinged = None
    if cl:
        cl.close()


def _drop():
    """Detach and close the client."""
    if _term:
        term = os.dupterm(None)
        if term is not _term:
            # Somebody has put another stream there since.
            os.dupterm(term)
    _forget_client()


def _is_free():
    """Tell if there is room for a client, which there is if the present one is not heard of any more."""
    global _pinged
    if client_s is None:
        return True
    if _pinged is None:
        try:
            # A ping without payload: RFC 6455 §5.5.2.
            if not _term._busy:
                client_s.write(b"\x89\x00")
                _pinged = time.ticks_ms()
        except OSError:
            pass
        return False
    if time.ticks_diff(time.ticks_ms(), _pinged) < _PONG_TIMEOUT:
        return False
    _drop()
    print("WebREPL client does not answer, disconnected")
    return True


def _attach(cl, addr):
    """Make the socket cl, past its handshake, the client and the second terminal."""
    global client_s, _term, _pinged
    print("WebREPL connection from:", addr)
    ws = websocket.websocket(cl)
    stdin = select.poll()
    stdin.register(sys.stdin, select.POLLIN)
    _term = _Term(cl, _webrepl._webrepl(ws), stdin)
    client_s = cl
    _pinged = None
    cl.settimeout(_WRITE_TIMEOUT)
    os.dupterm(_term)
    if hasattr(os, "dupterm_notify"):
        cl.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, _on_data)
        _on_data(cl)


def _answer(cl, addr, outcome):
    """Do what the request on cl asks for, and close cl unless it has become the client; return whether it has."""
    try:
        if outcome == _PAGE:
            send_html(cl)
        elif isinstance(outcome, int):
            if outcome:
                cl.write("HTTP/1.1 %sConnection: close\r\nContent-Length: 0\r\n\r\n" % _ERRORS[outcome - _NOT_FOUND])
        else:
            _switch_protocols(cl, outcome)
            if _is_free():
                _attach(cl, addr)
                return True
            print("Concurrent WebREPL connection from", addr, "rejected")
            # RFC 6455 §5.5.1 and §7.4.2: a close frame with a code, try again later, and a reason.
            cl.write(b"\x88\x13\x03\xf5WebREPL is in use")
    except OSError:
        pass
    finally:
        if cl is not client_s:
            cl.close()
    return False


def accept_conn(listen_sock) -> bool:
    """Accept a connection on the socket listen_sock and answer it, waiting at most 5 s for its request.

    Returns True if it is a WebSocket's and has become the terminal; False if it got the page, or an error, or there
    is a client already. As accept_handler of start(), it does its work as the request comes in, and never waits.
    """
    try:
        cl, addr = listen_sock.accept()
    except OSError:
        return False
    outcome = _NOT_HTTP
    try:
        _no_delay(cl)
        outcome = _wait(cl)
    finally:
        done = _answer(cl, addr, outcome)
    return done


def _no_delay(cl):
    """Send at once what is written to the socket: with Nagle's algorithm every frame waits for the client's ACK."""
    try:
        cl.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (AttributeError, OSError):
        pass


def _on_accept(listen_sock):
    """Socket callback: there are connections to accept, one at least on some ports, all since the last on others."""
    while listen_s:
        try:
            cl, addr = listen_sock.accept()
        except OSError:
            return
        if DEBUG:
            print("connection from", addr)
        try:
            _no_delay(cl)
            cl.setblocking(False)
            # Two may be on their way, as browsers open a connection to spare; an older one has had its time.
            if len(_requests) > 1:
                _requests.pop(0)[0].close()
            _requests.append((cl, addr, _request(cl)))
            cl.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, _on_request)
            _on_request(cl)
        except BaseException:
            _abandon(cl)
            raise


def _abandon(cl):
    for request in _requests:
        if request[0] is cl:
            _requests.remove(request)
    cl.close()


def _on_request(cl):
    """Socket callback: more of the request on cl has come."""
    for request in _requests:
        if request[0] is cl:
            try:
                outcome = next(request[2])
            except OSError:
                outcome = _NOT_HTTP
            except BaseException:
                _abandon(cl)
                raise
            if outcome is not None:
                _requests.remove(request)
                cl.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, None)
                _answer(cl, request[1], outcome)
            return


def setup_conn(port: int, accept_handler):
    """Listen on the TCP port; accept_handler is called with the listening socket for connections, unless it is None.

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
            handler = _on_accept if accept_handler is accept_conn else accept_handler
            try:
                listen_s.setsockopt(socket.SOL_SOCKET, _SO_CALLBACK, handler)
            except (OSError, TypeError, ValueError):
                print("WebREPL: no socket callbacks here, use webrepl.start_foreground()")
                stop()
                return None
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
            # A port without it, or one that wants to know its pins.
            pass
    if not shown:
        print("WebREPL server started on port", port)
    return listen_s


def _set_password(password):
    # What is no line of text could not be typed, and a NUL would end it early.
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
        _requests.pop()[0].close()
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

            _set_password(webrepl_cfg.PASS)
            static_host = getattr(webrepl_cfg, "BASE", static_host)
            del sys.modules["webrepl_cfg"]
        except Exception as e:
            print("WebREPL not started, webrepl_cfg.py: %r\nTo set it up: import webrepl_setup" % e)
            return
    else:
        _set_password(password)
    if accept_handler:
        if setup_conn(port, accept_handler):
            print("Started webrepl in", mode, "mode")
        return
    print("Starting webrepl in foreground mode")
    setup_conn(port, None)
    while listen_s and not accept_conn(listen_s):
        pass


def start_foreground(port: int = 8266, password: str | None = None) -> None:
    """Start the server as start() does, and serve until a WebSocket client is in."""
    start(port, password, None)
