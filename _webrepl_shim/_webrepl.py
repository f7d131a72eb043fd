# _webrepl for firmware that was built without MicroPython's C module of that name: put it beside webrepl.py.
# MIT license; Copyright (c) 2026 the WebREPL authors
"""The C module _webrepl (extmod/modwebrepl.c) in Python: the same API, the same bytes on the wire.

Where the C module is unsafe this one is not, and nothing else differs:
- A file that cannot be opened, read or written, a folder among them, is answered by a status that is not 0, and the
  session goes on. The C module ends the session, lets the client wait for ever, or says that all is well.
- A request with a wrong signature, or with a name that has no NUL, is refused with a status.
- The time it takes to compare the password does not depend on where an attempt differs from it.
- A transfer that the client abandons closes its file at once, not when the garbage collector finds it.
- A file that is put arrives as it was sent, however it is cut. The C module loses a byte that comes alone, takes keys
  that follow such a byte for content, and what a ping brings for content or for a request.
- A client that lets answers pile up until one of them cannot be sent whole is closed: frames would be torn.
"""

import io
import os
import struct
import sys

import websocket
from micropython import const

# A request, as in webrepl_cli.py of https://github.com/micropython/webrepl: signature, operation, flags, offset, size
# of the file, length of the name, and the name up to its NUL. Flags, offset and length say nothing.
_REQUEST = "<2sBBQLH64s"
_REQUEST_SIZE = const(82)
_PUT = const(1)
_GET = const(2)
_VERSION = const(3)

# How much of a file is sent for each byte of the client's, and how much is read of one that is put.
_CHUNK = const(256)
_BLOCK = const(512)

# The opcodes of RFC 6455 §5.2, the ioctl() requests of py/stream.h, the numbers of errno, a bit of os.stat().
_TEXT = const(1)
_BINARY = const(2)
_CLOSE = const(8)
_STREAM_CLOSE = const(4)
_STREAM_GET_DATA_OPTS = const(8)
_STREAM_SET_DATA_OPTS = const(9)
_EIO = const(5)
_EISDIR = const(21)
_EINVAL = const(22)
_ENOSPC = const(28)
_S_IFDIR = const(0x4000)

# The longest password and a NUL, which is where a longer attempt differs.
_PASSWORD = const(10)

# Filled up with NULs.
_password = bytearray(_PASSWORD)


def _address(o):
    """Return where an object is: id() is that, but negative for 0x40000000 to 0x7fffffff on 32 bits."""
    address = id(o)
    return address if address >= 0 else address & 0x7FFFFFFF


def _find_rest():
    """Return the layout, for uctypes, of what a websocket object knows of its frame's rest; None if it is not there.

    The object does not tell where a frame ends: asked for more it reads on in the next one, which may be keys. Without
    this a file has to be read byte by byte.
    """
    try:
        import uctypes

        # Two pointers come first in mp_obj_websocket_t of extmod/modwebsocket.c.
        layout = {"rest": uctypes.UINT32 | 2 * struct.calcsize("P")}
        # The beginning of a frame of 0x302 bytes.
        ws = websocket.websocket(io.BytesIO(b"\x82\x7e\x03\x02."))
        ws.read(1)
        if uctypes.struct(_address(ws), layout).rest == 0x301:
            return layout
    except (ImportError, AttributeError, TypeError, ValueError, OSError):
        pass
    return None


_layout = _find_rest()


def password(password):
    """Set the password, a str of at most 9 bytes: raise ValueError if it is longer."""
    data = memoryview(password)
    if len(data) >= _PASSWORD:
        raise ValueError("password is longer than 9 bytes")
    end = False
    for i in range(_PASSWORD):
        # A NUL ends it.
        end = end or i == len(data) or not data[i]
        _password[i] = 0 if end else data[i]


def _is_password(attempt):
    """Return whether a client's attempt is the password."""
    different = 0
    for i in range(_PASSWORD):
        different |= attempt[i] ^ _password[i]
    return not different


def _status(e):
    """Return the status that tells the client of the exception e."""
    if isinstance(e, OSError) and isinstance(e.errno, int) and 0 < e.errno < 65536:
        return e.errno
    return _EINVAL if isinstance(e, ValueError) else _EIO


def _open(name, operation):
    """Open the file of a request; raise ValueError or OSError."""
    name = str(name[: name.index(b"\0")], "utf-8")
    if operation == _PUT:
        return open(name, "wb")
    # Some file systems have nothing against opening a folder.
    if os.stat(name)[0] & _S_IFDIR:
        raise OSError(_EISDIR)
    return open(name, "rb")


class _webrepl(io.IOBase):  # noqa: N801
    """What os.dupterm() takes: the REPL in text frames, and files in binary ones."""

    # Ctrl-C of the serial console raises KeyboardInterrupt at a branch of whatever runs. For a transfer to survive it,
    # what was read stays in _buf, _n bytes of it, until a step uses it up; there is no branch in such a step; and what
    # is left to do then is done before anything else.
    # What runs for each piece of a file has few locals and no exception by name: more than 11 words, and MicroPython
    # takes them from the heap.

    def __init__(self, stream):
        self._ws = stream
        self._frame = None
        if _layout and type(stream) is websocket.websocket:
            import uctypes

            self._frame = uctypes.struct(_address(stream), _layout)
        self._buf = bytearray(_BLOCK)
        self._chunk = memoryview(self._buf)[2 : 2 + _CHUNK]
        self._n = 0
        # How much to read: more than one byte only if it surely is of one frame; and the opcode of that.
        self._want = 1
        self._kind = _TEXT
        # A request, or the attempt of a password, and how much of it there is.
        self._request = bytearray(_REQUEST_SIZE)
        self._have = 0
        # If the password was right, what takes what is printed, and what takes a byte that is no key.
        self._logged_in = False
        self._write = len
        self._take = self._take_password
        # The file of a transfer, how much of it is still to come, and what went wrong with it.
        self._file = None
        self._left = self._error = 0
        # If an answer could not be sent whole: the frames after it would be taken for its rest.
        self._torn = False
        self._print("Password: ")

    def readinto(self, buf):
        """Read keys into buf; return how many, None if there are none now, or 0 at the end."""
        n = 0
        while n < len(buf):
            found = self._find_key()
            if not found:
                return n or found
            buf[n] = self._buf[0]
            self._n = 0
            n += 1
        return n

    def read(self, size=-1):
        """Read that many keys, or all there are; return None if there are none now, or b"" at the end."""
        keys = bytearray()
        found = 1
        while len(keys) != size:
            found = self._find_key()
            if not found:
                break
            keys.append(self._buf[0])
            self._n = 0
        return bytes(keys) if keys or found is not None else None

    def write(self, buf):
        """Send what is printed, in one frame; nothing before the login."""
        # Without a branch: os.dupterm() gives up a stream whose write() raises KeyboardInterrupt.
        return self._write(buf)

    def _write_text(self, buf):
        self._ws.ioctl(_STREAM_SET_DATA_OPTS, _TEXT)
        return self._ws.write(buf)

    def ioctl(self, request, _):
        """Close: the stream protocol has nothing else for this."""
        if request != _STREAM_CLOSE:
            return -_EINVAL
        self.close()
        return 0

    def close(self):
        """Close the file of a transfer that has not ended, and the websocket."""
        self._close_file()
        self._ws.close()

    def _find_key(self):
        """Read until a key is in _buf, and do what comes before it; return as readinto() does."""
        try:
            return self._read()
        except KeyboardInterrupt:
            # Nobody may call again for what is in _buf.
            self._find_key()
            raise

    def _read(self):
        while True:
            if not self._n:
                self._n = self._ws.readinto(self._buf, self._want)
                if not self._n:
                    # For webrepl.py, 0 is that nothing has come, too; at the end, os.dupterm() calls close().
                    return self._n
            self._kind = self._ws.ioctl(_STREAM_GET_DATA_OPTS, 0)
            if self._logged_in and self._kind == _TEXT:
                return 1
            if self._take() or self._torn:
                return self._n

    def _print(self, text):
        try:
            self._write_text(text)
        except OSError:
            # The next read will tell.
            pass

    def _send(self, n):
        """Send the first n bytes of _buf in a binary frame."""
        self._ws.ioctl(_STREAM_SET_DATA_OPTS, _BINARY)
        try:
            self._torn = self._ws.write(self._buf, n) != n
        except OSError:
            self._torn = True

    def _answer(self, status):
        struct.pack_into("<2sH", self._buf, 0, b"WB", status)
        self._send(4)

    def _close_file(self):
        """Close the file, if there is one; return the status of that."""
        try:
            if self._file:
                self._file.close()
        except OSError as e:
            return _status(e)
        finally:
            self._file = None
        return 0

    def _take_password(self):
        """Take what is typed before the login; return True at the end of the session."""
        key = self._buf[0]
        self._n = 0
        if key not in b"\r\n":
            if self._have < _PASSWORD:
                self._request[self._have] = key
                # What follows a NUL does not count.
                self._have = self._have + 1 if key else _PASSWORD
            return False
        if not _is_password(self._request):
            self._print("\r\nAccess denied\r\n")
            return True
        self._print("\r\nWebREPL connected\r\n>>> ")
        self._logged_in = True
        self._write = self._write_text
        self._expect_request()
        return False

    def _expect_request(self):
        self._have = self._left = self._error = 0
        self._take = self._take_request

    def _take_request(self):
        if self._kind >= _CLOSE:
            # Of a control frame websocket passes over the last byte only.
            self._n = 0
            return
        self._request[self._have] = self._buf[0]
        self._have = (self._have + 1) % _REQUEST_SIZE
        self._n = 0
        if not self._have:
            self._begin()

    def _begin(self):
        """Do what is requested, as far as it goes without more from the client."""
        signature, operation, _, _, size, _, name = struct.unpack(_REQUEST, self._request)
        status = 0
        try:
            if signature != b"WA":
                raise ValueError
            if operation != _VERSION:
                self._file = _open(name, operation)
        except Exception as e:
            status = _status(e)
        if operation == _VERSION and not status:
            self._buf[:3] = bytes(sys.implementation.version[:3])
            self._send(3)
            return
        self._answer(status)
        if status:
            return
        if operation == _PUT:
            self._left = size
            self._take = self._take_content
            self._go_on()
        elif operation == _GET:
            self._take = self._take_acknowledgement
        else:
            # No such operation. The C module opens the file, and has no ear for another request.
            self._close_file()
            self._take = self._take_nothing

    def _take_nothing(self):
        self._n = 0

    def _take_content(self):
        """Write what is put."""
        if self._kind >= _CLOSE:
            self._n = 0
            return
        try:
            n = self._n
            self._n = 0
            self._want = 1
            self._left -= n
            self._file.write(self._buf, n)
        except OSError:
            # The client sends the rest before it looks for an answer.
            self._error = _ENOSPC
            self._close_file()
            self._take = self._take_rest
        self._go_on()

    def _take_rest(self):
        if self._kind >= _CLOSE:
            self._n = 0
            return
        self._left -= self._n
        self._n = 0
        self._want = 1
        self._go_on()

    def _go_on(self):
        """End what is put if all of it is there, else find out how much to read."""
        if not self._left:
            self._finish()
        elif self._frame:
            self._want = min(self._left, _BLOCK, self._frame.rest) or 1

    def _take_acknowledgement(self):
        """Send a piece of what the client gets."""
        try:
            n = self._file.readinto(self._chunk)
            self._send_piece(n)
        except OSError:
            self._error = _EIO
            n = 0
            self._send_piece(n)
        if not n:
            self._finish()

    def _send_piece(self, n):
        self._n = 0
        self._buf[0] = n & 255
        self._buf[1] = n >> 8
        self._send(2 + n)

    def _finish(self):
        """Answer at the end of a transfer."""
        status = self._close_file()
        status = self._error or status
        self._expect_request()
        self._answer(status)
