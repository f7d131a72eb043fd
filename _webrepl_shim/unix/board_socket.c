// The unix port's socket module with a board's behaviour: callbacks, addresses as ('ip', port), loopback only.
// The port's file is included below, with the functions it calls renamed to the hooks here.

#define MICROPY_PY_SOCKET (1)

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/mpstate.h"
#include "py/objtuple.h"
#include "py/runtime.h"
#include "py/stream.h"

// What setsockopt(SOL_SOCKET, 20, handler) means on boards. Linux has SO_RCVTIMEO there, which comes with a length.
#define BOARD_SO_CALLBACK (20)

// Without a finaliser on sockets, a handler that the program forgot must be kept: a slot each, roots of the GC.
MP_REGISTER_ROOT_POINTER(mp_obj_t board_event_sock[BOARD_EVENTS_MAX]);
MP_REGISTER_ROOT_POINTER(mp_obj_t board_event_handler[BOARD_EVENTS_MAX]);

// Level: the socket itself, readable as long as there is something to read. Edge: an epoll set of one socket,
// which is readable once for each arrival.
static int event_fd[BOARD_EVENTS_MAX];

// What the last poll asked about: the slots, in the order of its fds.
static int polled[BOARD_EVENTS_MAX];
static int polled_n;

static bool event_is_edge(void) {
    const char *events = getenv("BOARD_EVENTS");
    return events != NULL && strcmp(events, "edge") == 0;
}

static void event_remove(mp_obj_t sock) {
    for (int i = 0; i < BOARD_EVENTS_MAX; i++) {
        if (MP_STATE_VM(board_event_sock)[i] == sock) {
            MP_STATE_VM(board_event_sock)[i] = MP_OBJ_NULL;
            MP_STATE_VM(board_event_handler)[i] = MP_OBJ_NULL;
            if (event_is_edge()) {
                close(event_fd[i]);
            }
        }
    }
}

static int event_add(mp_obj_t sock, int fd, mp_obj_t handler) {
    for (int i = 0; i < BOARD_EVENTS_MAX; i++) {
        if (MP_STATE_VM(board_event_sock)[i] == MP_OBJ_NULL) {
            event_fd[i] = fd;
            if (event_is_edge()) {
                struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
                event_fd[i] = epoll_create1(EPOLL_CLOEXEC);
                epoll_ctl(event_fd[i], EPOLL_CTL_ADD, fd, &ev);
                // What had arrived before is no event.
                epoll_wait(event_fd[i], &ev, 1, 0);
            }
            MP_STATE_VM(board_event_sock)[i] = sock;
            MP_STATE_VM(board_event_handler)[i] = handler;
            return 0;
        }
    }
    errno = ENOMEM;
    return -1;
}

int board_socket_poll_fds(struct pollfd *fds) {
    polled_n = 0;
    // With something in the queue, or a callback running, look again later: no event comes twice.
    if (MP_STATE_VM(sched_state) != MP_SCHED_IDLE) {
        return 0;
    }
    for (int i = 0; i < BOARD_EVENTS_MAX; i++) {
        if (MP_STATE_VM(board_event_sock)[i] != MP_OBJ_NULL) {
            fds[polled_n].fd = event_fd[i];
            fds[polled_n].events = POLLIN;
            fds[polled_n].revents = 0;
            polled[polled_n++] = i;
        }
    }
    return polled_n;
}

void board_socket_poll_done(const struct pollfd *fds) {
    for (int n = 0; n < polled_n; n++) {
        int i = polled[n];
        if (fds[n].revents && mp_sched_schedule(MP_STATE_VM(board_event_handler)[i], MP_STATE_VM(board_event_sock)[i])
            && event_is_edge()) {
            struct epoll_event ev;
            epoll_wait(event_fd[i], &ev, 1, 0);
        }
    }
}

// The hooks.

static mp_obj_t board_new_addr(size_t len, const void *addr) {
    const struct sockaddr_in *sa = addr;
    if (sa->sin_family != AF_INET) {
        return mp_obj_new_bytes(addr, len);
    }
    char ip[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &sa->sin_addr, ip, sizeof(ip));
    mp_obj_t items[] = { mp_obj_new_str_from_cstr(ip), MP_OBJ_NEW_SMALL_INT(ntohs(sa->sin_port)) };
    return mp_obj_new_tuple(2, items);
}

// Wherever the port takes a packed address, take ('ip', port); where it takes an option's value, take a handler.
static void board_get_buffer(mp_obj_t obj, mp_buffer_info_t *bufinfo, mp_uint_t flags) {
    static struct sockaddr_in sa[2];
    static unsigned int turn;
    if (mp_obj_is_type(obj, &mp_type_tuple)) {
        mp_obj_t *items;
        mp_obj_get_array_fixed_n(obj, 2, &items);
        struct sockaddr_in *a = &sa[turn++ & 1];
        memset(a, 0, sizeof(*a));
        a->sin_family = AF_INET;
        a->sin_port = htons(mp_obj_get_int(items[1]));
        const char *ip = mp_obj_str_get_str(items[0]);
        if (*ip != '\0' && inet_pton(AF_INET, ip, &a->sin_addr) != 1) {
            mp_raise_OSError(MP_EINVAL);
        }
        bufinfo->buf = a;
        bufinfo->len = sizeof(*a);
    } else if (obj == mp_const_none || mp_obj_is_callable(obj)) {
        bufinfo->buf = MP_OBJ_TO_PTR(obj);
        bufinfo->len = 0;
    } else {
        mp_get_buffer_raise(obj, bufinfo, flags);
    }
}

static int board_setsockopt(mp_obj_t sock, int fd, int level, int option, const void *val, socklen_t len) {
    if (level == SOL_SOCKET && option == BOARD_SO_CALLBACK && len == 0) {
        event_remove(sock);
        mp_obj_t handler = MP_OBJ_FROM_PTR((void *)val);
        return handler == mp_const_none ? 0 : event_add(sock, fd, handler);
    }
    return setsockopt(fd, level, option, val, len);
}

static int board_bind(int fd, const struct sockaddr *addr, socklen_t len) {
    struct sockaddr_in sa;
    if (addr->sa_family == AF_INET && len == sizeof(sa)) {
        memcpy(&sa, addr, sizeof(sa));
        if (inet_pton(AF_INET, board_host(), &sa.sin_addr) != 1) {
            errno = EADDRNOTAVAIL;
            return -1;
        }
        addr = (const struct sockaddr *)&sa;
    } else if (addr->sa_family != AF_UNIX) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return bind(fd, addr, len);
}

// A second close() finds no descriptor, where the port would close whatever has got its number since.
static int board_close(mp_obj_t sock, int *fd) {
    event_remove(sock);
    int closed = *fd;
    *fd = -1;
    return closed < 0 ? 0 : close(closed);
}

// modsocket.c's mp_obj_socket_t.
typedef struct {
    mp_obj_base_t base;
    int fd;
    bool blocking;
} board_sock_t;

// What would block waits here instead, where events and Ctrl-C come in, as they do on a board. True: fd is ready, or
// what the caller asks of it next will say why not. False: the timeout set by settimeout() has run out.
static bool board_wait(const void *sock_in, short events, int timeout_option) {
    const board_sock_t *sock = sock_in;
    if (!sock->blocking) {
        return true;
    }
    struct timeval tv = { 0 };
    socklen_t len = sizeof(tv);
    getsockopt(sock->fd, SOL_SOCKET, timeout_option, &tv, &len);
    mp_uint_t timeout_ms = tv.tv_sec * 1000 + tv.tv_usec / 1000;
    mp_uint_t start = mp_hal_ticks_ms();
    for (;;) {
        struct pollfd pfd = { .fd = sock->fd, .events = events };
        if (poll(&pfd, 1, 1) != 0) {
            return true;
        }
        board_poll(0);
        mp_handle_pending(true);
        if (timeout_ms != 0 && mp_hal_ticks_ms() - start >= timeout_ms) {
            errno = EAGAIN;
            return false;
        }
    }
}

static ssize_t board_write(const void *sock_in, const void *buf, size_t len, int flags) {
    const board_sock_t *sock = sock_in;
    // MSG_DONTWAIT: a blocking send() of more than there is room for would wait in the kernel, for all of it.
    return board_wait(sock, POLLOUT, SO_SNDTIMEO) ? send(sock->fd, buf, len, flags | MSG_DONTWAIT) : -1;
}

// The port accepts first and makes its objects then: short of memory for them, it would lose the descriptor.
static int board_accept(const void *sock, int fd, struct sockaddr *addr, socklen_t *len) {
    m_del(byte, m_new(byte, 256), 256);
    return board_wait(sock, POLLIN, SO_RCVTIMEO) ? accept(fd, addr, len) : -1;
}

#define accept(fd, addr, len) board_accept(self, fd, addr, len)
#define read(fd, buf, len) (board_wait(o, POLLIN, SO_RCVTIMEO) ? read(fd, buf, len) : -1)
#define recv(fd, buf, len, flags) (board_wait(self, POLLIN, SO_RCVTIMEO) ? recv(fd, buf, len, flags) : -1)
#define recvfrom(fd, buf, len, flags, addr, n) \
    (board_wait(self, POLLIN, SO_RCVTIMEO) ? recvfrom(fd, buf, len, flags, addr, n) : -1)
#define write(fd, buf, len) board_write(o, buf, len, 0)
#define send(fd, buf, len, flags) board_write(self, buf, len, flags)
#define mp_obj_new_bytearray(len, addr) board_new_addr(len, addr)
#define mp_get_buffer_raise(obj, bufinfo, flags) board_get_buffer(obj, bufinfo, flags)
#define setsockopt(fd, level, option, val, len) board_setsockopt(MP_OBJ_FROM_PTR(self), fd, level, option, val, len)
#define bind(fd, addr, len) board_bind(fd, addr, len)
#define close(fd) board_close(MP_OBJ_FROM_PTR(self), &(fd))

#include "ports/unix/modsocket.c"

void board_socket_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest);
void board_socket_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
    if (dest[0] != MP_OBJ_NULL) {
        return;
    }
    if (attr == MP_QSTR_TCP_NODELAY) {
        dest[0] = MP_OBJ_NEW_SMALL_INT(TCP_NODELAY);
    } else if (attr == MP_QSTR_IPPROTO_TCP) {
        dest[0] = MP_OBJ_NEW_SMALL_INT(IPPROTO_TCP);
    }
}
MP_REGISTER_MODULE_DELEGATION(mp_module_socket, board_socket_attr);
