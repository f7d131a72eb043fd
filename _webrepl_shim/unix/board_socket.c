// The module socket of a board: with handlers, addresses as ('ip', port), a small send buffer, and loopback only.
//
// Linux' sockets do not block here; what does on a board waits in the functions below, as ports/esp32/modsocket.c
// does or, with events as on the lwIP ports, extmod/modlwip.c.

// For accept4().
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "board.h"
#include "board_socket.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/objtuple.h"
#include "py/runtime.h"
#include "py/stream.h"

// What setsockopt(SOL_SOCKET, 20, handler) means on boards.
#define SO_HANDLER (20)

// An ESP32 waits in pieces of this many milliseconds, and looks for Ctrl-C between them: SOCKET_POLL_US.
#define ATTEMPT_MS (100)
// lwIP looks once a second whether a write is to be given up, if no acknowledgement makes it look: poll_tcp().
#define TCP_POLL_MS (1000)
// An ESP32's select() finds a connection writable when this much fits into its buffer: TCP_SNDLOWAT.
#define SEND_LOW_WATER (2881)

extern const mp_obj_type_t board_socket_type;

static board_socket_t *socket_new(int fd, uint64_t timeout_ms) {
    board_socket_t *self = mp_obj_malloc_with_finaliser(board_socket_t, &board_socket_type);
    *self = (board_socket_t) { self->base, fd, timeout_ms, MP_OBJ_NULL, NULL, -1 };
    return self;
}

static mp_obj_t socket_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    (void)type;
    mp_arg_check_num(n_args, n_kw, 0, 3, false);
    int domain = n_args > 0 ? mp_obj_get_int(args[0]) : AF_INET;
    int kind = n_args > 1 ? mp_obj_get_int(args[1]) : SOCK_STREAM;
    board_socket_t *self = socket_new(-1, BOARD_SOCKET_FOREVER);
    self->fd = socket(domain, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, n_args > 2 ? mp_obj_get_int(args[2]) : 0);
    if (self->fd < 0) {
        mp_raise_OSError(errno);
    }
    return MP_OBJ_FROM_PTR(self);
}

static void socket_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    mp_printf(print, "<socket %d>", ((board_socket_t *)MP_OBJ_TO_PTR(self_in))->fd);
}

// Addresses.

static struct sockaddr_in addr_parse(mp_obj_t addr) {
    mp_obj_t *items;
    mp_obj_get_array_fixed_n(addr, 2, &items);
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(mp_obj_get_int(items[1])) };
    const char *host = mp_obj_str_get_str(items[0]);
    if (*host != '\0' && inet_pton(AF_INET, host, &sa.sin_addr) != 1) {
        struct addrinfo *found;
        if (getaddrinfo(host, NULL, &(struct addrinfo) { .ai_family = AF_INET }, &found) != 0) {
            mp_raise_OSError(-2);
        }
        sa.sin_addr = ((struct sockaddr_in *)found->ai_addr)->sin_addr;
        freeaddrinfo(found);
    }
    return sa;
}

static mp_obj_t addr_new(const struct sockaddr_in *sa) {
    char ip[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &sa->sin_addr, ip, sizeof(ip));
    mp_obj_t items[] = { mp_obj_new_str_from_cstr(ip), MP_OBJ_NEW_SMALL_INT(ntohs(sa->sin_port)) };
    return mp_obj_new_tuple(2, items);
}

static mp_obj_t socket_getaddrinfo(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct sockaddr_in sa = addr_parse(mp_obj_new_tuple(2, args));
    mp_obj_t items[] = {
        MP_OBJ_NEW_SMALL_INT(AF_INET), MP_OBJ_NEW_SMALL_INT(SOCK_STREAM), MP_OBJ_NEW_SMALL_INT(0), args[0], addr_new(&sa),
    };
    mp_obj_t info = mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
    return mp_obj_new_list(1, &info);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_getaddrinfo_obj, 2, 6, socket_getaddrinfo);

// Waiting.

// How many attempts an ESP32 makes after the first: _socket_settimeout().
static unsigned int socket_retries(const board_socket_t *self) {
    return self->timeout_ms == BOARD_SOCKET_FOREVER ? UINT32_MAX : self->timeout_ms / ATTEMPT_MS;
}

static int timeout_errno(const board_socket_t *self) {
    bool once = board_option_edge() ? self->timeout_ms == 0 : socket_retries(self) == 0;
    return once ? MP_EAGAIN : MP_ETIMEDOUT;
}

// Wait until the socket is ready, as long as its timeout allows, and return 0 or an error number. On an ESP32 no other
// socket is looked at; on the lwIP ports all that goes on does.
static int socket_wait(const board_socket_t *self, short events) {
    mp_uint_t start = mp_hal_ticks_ms();
    unsigned int retries = socket_retries(self);
    for (unsigned int i = 0;; i++) {
        if (self->fd < 0) {
            return MP_EBADF;
        }
        int attempt_ms = self->timeout_ms == 0 ? 0 : board_option_edge() ? 1 : ATTEMPT_MS;
        if (board_events_wait_fd(self->fd, events, attempt_ms * 1000)) {
            return 0;
        }
        // Ctrl-C strikes here on an ESP32, if it does not wait, too: _socket_read_data() of ports/esp32/modsocket.c.
        if (!board_option_edge() || self->timeout_ms != 0) {
            mp_handle_pending(true);
        }
        bool over = board_option_edge() ? mp_hal_ticks_ms() - start >= self->timeout_ms : i >= retries;
        if (self->timeout_ms == 0 || (over && self->timeout_ms != BOARD_SOCKET_FOREVER)) {
            return timeout_errno(self);
        }
    }
}

// Sending.

static size_t socket_room(const board_socket_t *self) {
    int unacknowledged;
    if (ioctl(self->fd, SIOCOUTQ, &unacknowledged) != 0) {
        return SIZE_MAX;
    }
    return MAX(board_option_sndbuf() - unacknowledged, 0);
}

// Write what there is room for; return how much, or -1 with errno set.
static ssize_t send_room(const board_socket_t *self, const byte *buf, size_t len) {
    size_t room = socket_room(self);
    if (room == 0) {
        // A connection that has ended says so here.
        int error = 0;
        socklen_t size = sizeof(error);
        getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        errno = error;
        return error ? -1 : 0;
    }
    ssize_t n = send(self->fd, buf, MIN(len, room), MSG_DONTWAIT | MSG_NOSIGNAL);
    return n < 0 && errno == EAGAIN ? 0 : n;
}

// One attempt of an ESP32: lwIP's lwip_netconn_do_writemore(). When acknowledgements make room, or a second of the
// connection's clock is over, it looks first whether the attempt has taken too long, and then writes on.
static ssize_t send_attempt(const board_socket_t *self, const byte *buf, size_t len) {
    ssize_t sent = send_room(self, buf, len);
    if (sent < 0 || (size_t)sent == len || self->timeout_ms == 0) {
        return sent;
    }
    mp_uint_t start = mp_hal_ticks_ms();
    mp_uint_t second = start / TCP_POLL_MS;
    size_t room = socket_room(self);
    for (;;) {
        board_events_wait_fd(-1, 0, 1000);
        mp_uint_t now = mp_hal_ticks_ms();
        size_t room_now = socket_room(self);
        if (room_now <= room && now / TCP_POLL_MS == second) {
            continue;
        }
        if (now - start >= ATTEMPT_MS) {
            return sent;
        }
        second = now / TCP_POLL_MS;
        ssize_t n = send_room(self, buf + sent, len - sent);
        if (n < 0) {
            return sent ? sent : n;
        }
        sent += n;
        if ((size_t)sent == len) {
            return sent;
        }
        room = socket_room(self);
    }
}

// Write some of it at least; return how much, or -1 with errno set. All: go on until it is all written.
static ssize_t socket_send_data(const board_socket_t *self, const byte *buf, size_t len, bool all) {
    size_t sent = 0;
    mp_uint_t start = mp_hal_ticks_ms();
    unsigned int retries = socket_retries(self);
    for (unsigned int i = 0;; i++) {
        if (self->fd < 0) {
            errno = MP_EBADF;
            return -1;
        }
        ssize_t n;
        if (board_option_edge()) {
            n = send_room(self, buf + sent, len - sent);
            if (n == 0 && self->timeout_ms != 0) {
                board_events_wait_fd(-1, 0, 1000);
            }
        } else {
            n = send_attempt(self, buf + sent, len - sent);
        }
        if (n < 0) {
            return -1;
        }
        sent += n;
        if (sent == len || (sent > 0 && !all)) {
            return sent;
        }
        mp_handle_pending(true);
        bool over = board_option_edge() ? mp_hal_ticks_ms() - start >= self->timeout_ms : i >= retries;
        if (self->timeout_ms == 0 || (over && self->timeout_ms != BOARD_SOCKET_FOREVER)) {
            errno = timeout_errno(self);
            return sent > 0 ? (ssize_t)sent : -1;
        }
    }
}

// The stream protocol.

// An error number is to be given only if there is an error.
static mp_uint_t stream_result(ssize_t n, int error, int *errcode) {
    if (n < 0) {
        *errcode = error;
        return MP_STREAM_ERROR;
    }
    return n;
}

static mp_uint_t socket_stream_read(mp_obj_t self_in, void *buf, mp_uint_t size, int *errcode) {
    board_socket_t *self = MP_OBJ_TO_PTR(self_in);
    int error = socket_wait(self, POLLIN);
    ssize_t n = error ? -1 : recv(self->fd, buf, size, 0);
    return stream_result(n, error ? error : errno, errcode);
}

static mp_uint_t socket_stream_write(mp_obj_t self_in, const void *buf, mp_uint_t size, int *errcode) {
    ssize_t n = size == 0 ? 0 : socket_send_data(MP_OBJ_TO_PTR(self_in), buf, size, false);
    return stream_result(n, errno, errcode);
}

static mp_uint_t socket_poll(const board_socket_t *self, uintptr_t flags) {
    if (self->fd < 0) {
        return MP_STREAM_POLL_NVAL;
    }
    struct pollfd pfd = { .fd = self->fd, .events = POLLIN | POLLOUT };
    poll(&pfd, 1, 0);
    mp_uint_t ready = 0;
    if (pfd.revents & ~POLLOUT) {
        ready |= MP_STREAM_POLL_RD;
    }
    size_t enough = board_option_edge() ? 1 : MIN(SEND_LOW_WATER, board_option_sndbuf());
    if ((pfd.revents & (POLLERR | POLLHUP)) || ((pfd.revents & POLLOUT) && socket_room(self) >= enough)) {
        ready |= MP_STREAM_POLL_WR;
    }
    ready &= flags;
    return pfd.revents & POLLHUP ? ready | MP_STREAM_POLL_HUP : ready;
}

static mp_uint_t socket_stream_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
    board_socket_t *self = MP_OBJ_TO_PTR(self_in);
    if (request == MP_STREAM_POLL) {
        return socket_poll(self, arg);
    }
    if (request == MP_STREAM_CLOSE) {
        board_handler_set(self, mp_const_none);
        if (self->fd >= 0) {
            close(self->fd);
            self->fd = -1;
        }
        return 0;
    }
    *errcode = MP_EINVAL;
    return MP_STREAM_ERROR;
}

// Methods.

static void raise_if(bool failed) {
    if (failed) {
        mp_raise_OSError(errno);
    }
}

static mp_obj_t socket_bind(mp_obj_t self_in, mp_obj_t addr) {
    board_socket_t *self = MP_OBJ_TO_PTR(self_in);
    struct sockaddr_in sa = addr_parse(addr);
    errno = EADDRNOTAVAIL;
    raise_if(inet_pton(AF_INET, board_option_host(), &sa.sin_addr) != 1);
    raise_if(bind(self->fd, (struct sockaddr *)&sa, sizeof(sa)) != 0);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_bind_obj, socket_bind);

static mp_obj_t socket_listen(size_t n_args, const mp_obj_t *args) {
    board_socket_t *self = MP_OBJ_TO_PTR(args[0]);
    raise_if(listen(self->fd, n_args > 1 ? mp_obj_get_int(args[1]) : 2) != 0);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_listen_obj, 1, 2, socket_listen);

static mp_obj_t socket_accept(mp_obj_t self_in) {
    board_socket_t *self = MP_OBJ_TO_PTR(self_in);
    int error = socket_wait(self, POLLIN);
    if (error != 0) {
        mp_raise_OSError(error);
    }
    // The object first: short of memory for it, the descriptor would be lost. A board loses it there.
    board_socket_t *sock = socket_new(-1, board_option_edge() ? self->timeout_ms : BOARD_SOCKET_FOREVER);
    struct sockaddr_in sa;
    socklen_t len = sizeof(sa);
    sock->fd = accept4(self->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    raise_if(sock->fd < 0);
    mp_obj_t items[] = { MP_OBJ_FROM_PTR(sock), addr_new(&sa) };
    return mp_obj_new_tuple(2, items);
}
static MP_DEFINE_CONST_FUN_OBJ_1(socket_accept_obj, socket_accept);

static mp_obj_t socket_connect(mp_obj_t self_in, mp_obj_t addr) {
    board_socket_t *self = MP_OBJ_TO_PTR(self_in);
    struct sockaddr_in sa = addr_parse(addr);
    if (connect(self->fd, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
        return mp_const_none;
    }
    raise_if(errno != EINPROGRESS || self->timeout_ms == 0);
    int error = socket_wait(self, POLLOUT);
    if (error == 0) {
        socklen_t len = sizeof(error);
        getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    }
    if (error != 0) {
        mp_raise_OSError(error);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_connect_obj, socket_connect);

// recv() and recvfrom(): fills addr if it is not NULL.
static mp_obj_t recv_data(mp_obj_t self_in, mp_obj_t size, struct sockaddr_in *addr) {
    board_socket_t *self = MP_OBJ_TO_PTR(self_in);
    vstr_t vstr;
    vstr_init_len(&vstr, mp_obj_get_int(size));
    int error = socket_wait(self, POLLIN);
    if (error != 0) {
        mp_raise_OSError(error);
    }
    socklen_t len = sizeof(*addr);
    ssize_t n = recvfrom(self->fd, vstr.buf, vstr.len, 0, (struct sockaddr *)addr, addr ? &len : NULL);
    raise_if(n < 0);
    vstr.len = n;
    return mp_obj_new_bytes_from_vstr(&vstr);
}

static mp_obj_t socket_recv(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    return recv_data(args[0], args[1], NULL);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_recv_obj, 2, 3, socket_recv);

static mp_obj_t socket_recvfrom(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct sockaddr_in sa = { 0 };
    mp_obj_t data = recv_data(args[0], args[1], &sa);
    mp_obj_t items[] = { data, addr_new(&sa) };
    return mp_obj_new_tuple(2, items);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_recvfrom_obj, 2, 3, socket_recvfrom);

static mp_obj_t socket_send(mp_obj_t self_in, mp_obj_t data) {
    mp_buffer_info_t bufinfo;
    mp_get_buffer_raise(data, &bufinfo, MP_BUFFER_READ);
    // An ESP32's send() goes on until all is written: _socket_send().
    ssize_t n = socket_send_data(MP_OBJ_TO_PTR(self_in), bufinfo.buf, bufinfo.len, !board_option_edge());
    raise_if(n < 0);
    return MP_OBJ_NEW_SMALL_INT(n);
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_send_obj, socket_send);

static mp_obj_t socket_sendall(mp_obj_t self_in, mp_obj_t data) {
    mp_buffer_info_t bufinfo;
    mp_get_buffer_raise(data, &bufinfo, MP_BUFFER_READ);
    ssize_t n = socket_send_data(MP_OBJ_TO_PTR(self_in), bufinfo.buf, bufinfo.len, true);
    raise_if(n < 0);
    if ((size_t)n < bufinfo.len) {
        mp_raise_OSError(MP_ETIMEDOUT);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_sendall_obj, socket_sendall);

static mp_obj_t socket_sendto(mp_obj_t self_in, mp_obj_t data, mp_obj_t addr) {
    board_socket_t *self = MP_OBJ_TO_PTR(self_in);
    mp_buffer_info_t bufinfo;
    mp_get_buffer_raise(data, &bufinfo, MP_BUFFER_READ);
    struct sockaddr_in sa = addr_parse(addr);
    ssize_t n = sendto(self->fd, bufinfo.buf, bufinfo.len, MSG_NOSIGNAL, (struct sockaddr *)&sa, sizeof(sa));
    raise_if(n < 0);
    return MP_OBJ_NEW_SMALL_INT(n);
}
static MP_DEFINE_CONST_FUN_OBJ_3(socket_sendto_obj, socket_sendto);

static mp_obj_t socket_setsockopt(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    board_socket_t *self = MP_OBJ_TO_PTR(args[0]);
    int level = mp_obj_get_int(args[1]);
    int option = mp_obj_get_int(args[2]);
    if (level == SOL_SOCKET && option == SO_HANDLER) {
        board_handler_set(self, args[3]);
    } else if ((level == SOL_SOCKET && (option == SO_REUSEADDR || option == SO_BROADCAST))
               || (level == IPPROTO_TCP && option == TCP_NODELAY)) {
        int value = mp_obj_get_int(args[3]);
        raise_if(setsockopt(self->fd, level, option, &value, sizeof(value)) != 0);
    } else {
        mp_printf(&mp_plat_print, "setsockopt() does not have that option here\n");
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_setsockopt_obj, 4, 4, socket_setsockopt);

static mp_obj_t socket_settimeout(mp_obj_t self_in, mp_obj_t timeout) {
    board_socket_t *self = MP_OBJ_TO_PTR(self_in);
    self->timeout_ms = timeout == mp_const_none ? BOARD_SOCKET_FOREVER : (uint64_t)(mp_obj_get_float(timeout) * 1000);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_settimeout_obj, socket_settimeout);

static mp_obj_t socket_setblocking(mp_obj_t self_in, mp_obj_t blocking) {
    board_socket_t *self = MP_OBJ_TO_PTR(self_in);
    self->timeout_ms = mp_obj_is_true(blocking) ? BOARD_SOCKET_FOREVER : 0;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_setblocking_obj, socket_setblocking);

static mp_obj_t socket_makefile(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    return args[0];
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_makefile_obj, 1, 3, socket_makefile);

static mp_obj_t socket_fileno(mp_obj_t self_in) {
    return MP_OBJ_NEW_SMALL_INT(((board_socket_t *)MP_OBJ_TO_PTR(self_in))->fd);
}
static MP_DEFINE_CONST_FUN_OBJ_1(socket_fileno_obj, socket_fileno);

static const mp_rom_map_elem_t socket_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&mp_stream_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_accept), MP_ROM_PTR(&socket_accept_obj) },
    { MP_ROM_QSTR(MP_QSTR_bind), MP_ROM_PTR(&socket_bind_obj) },
    { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&mp_stream_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_connect), MP_ROM_PTR(&socket_connect_obj) },
    { MP_ROM_QSTR(MP_QSTR_fileno), MP_ROM_PTR(&socket_fileno_obj) },
    { MP_ROM_QSTR(MP_QSTR_listen), MP_ROM_PTR(&socket_listen_obj) },
    { MP_ROM_QSTR(MP_QSTR_makefile), MP_ROM_PTR(&socket_makefile_obj) },
    { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&mp_stream_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&mp_stream_readinto_obj) },
    { MP_ROM_QSTR(MP_QSTR_readline), MP_ROM_PTR(&mp_stream_unbuffered_readline_obj) },
    { MP_ROM_QSTR(MP_QSTR_recv), MP_ROM_PTR(&socket_recv_obj) },
    { MP_ROM_QSTR(MP_QSTR_recvfrom), MP_ROM_PTR(&socket_recvfrom_obj) },
    { MP_ROM_QSTR(MP_QSTR_send), MP_ROM_PTR(&socket_send_obj) },
    { MP_ROM_QSTR(MP_QSTR_sendall), MP_ROM_PTR(&socket_sendall_obj) },
    { MP_ROM_QSTR(MP_QSTR_sendto), MP_ROM_PTR(&socket_sendto_obj) },
    { MP_ROM_QSTR(MP_QSTR_setblocking), MP_ROM_PTR(&socket_setblocking_obj) },
    { MP_ROM_QSTR(MP_QSTR_setsockopt), MP_ROM_PTR(&socket_setsockopt_obj) },
    { MP_ROM_QSTR(MP_QSTR_settimeout), MP_ROM_PTR(&socket_settimeout_obj) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&mp_stream_write_obj) },
};
static MP_DEFINE_CONST_DICT(socket_locals, socket_locals_table);

static const mp_stream_p_t socket_stream = {
    .read = socket_stream_read,
    .write = socket_stream_write,
    .ioctl = socket_stream_ioctl,
};

MP_DEFINE_CONST_OBJ_TYPE(
    board_socket_type,
    MP_QSTR_socket,
    MP_TYPE_FLAG_NONE,
    make_new, socket_make_new,
    print, socket_print,
    protocol, &socket_stream,
    locals_dict, &socket_locals
    );

static const mp_rom_map_elem_t socket_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_socket) },
    { MP_ROM_QSTR(MP_QSTR_AF_INET), MP_ROM_INT(AF_INET) },
    { MP_ROM_QSTR(MP_QSTR_IPPROTO_TCP), MP_ROM_INT(IPPROTO_TCP) },
    { MP_ROM_QSTR(MP_QSTR_SOCK_DGRAM), MP_ROM_INT(SOCK_DGRAM) },
    { MP_ROM_QSTR(MP_QSTR_SOCK_STREAM), MP_ROM_INT(SOCK_STREAM) },
    { MP_ROM_QSTR(MP_QSTR_SOL_SOCKET), MP_ROM_INT(SOL_SOCKET) },
    { MP_ROM_QSTR(MP_QSTR_SO_BROADCAST), MP_ROM_INT(SO_BROADCAST) },
    { MP_ROM_QSTR(MP_QSTR_SO_REUSEADDR), MP_ROM_INT(SO_REUSEADDR) },
    { MP_ROM_QSTR(MP_QSTR_TCP_NODELAY), MP_ROM_INT(TCP_NODELAY) },
    { MP_ROM_QSTR(MP_QSTR_getaddrinfo), MP_ROM_PTR(&socket_getaddrinfo_obj) },
    { MP_ROM_QSTR(MP_QSTR_socket), MP_ROM_PTR(&board_socket_type) },
};
static MP_DEFINE_CONST_DICT(socket_globals, socket_globals_table);

const mp_obj_module_t board_socket_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&socket_globals,
};
MP_REGISTER_EXTENSIBLE_MODULE(MP_QSTR_socket, board_socket_module);
