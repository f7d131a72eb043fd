// Handlers of sockets: setsockopt(SOL_SOCKET, 20, handler).
//
// The list is one of pointers that the garbage collector does not see, newest first, as in ports/esp32/modsocket.c;
// a socket that is collected leaves it as it is closed.

#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

#include "board.h"
#include "board_socket.h"
#include "py/mperrno.h"
#include "py/mpstate.h"
#include "py/runtime.h"

// An ESP32 looks each eighth time.
#define LOOK_EACH (8)

// At 0 the first look is the 256th, as a counter of 8 bits is decremented before it is tested.
uint8_t board_handler_counter;
static board_socket_t *handler_head;

// What would be a write through fd_set's start, or a call of nothing, on an ESP32, is not to go unseen.
static void __attribute__((noreturn)) memory_corrupted(const char *how) {
    fprintf(stderr, "\r\nBoard: memory corrupted: %s.\r\n", how);
    _exit(3);
}

static void handler_remove(board_socket_t *sock) {
    for (board_socket_t **s = &handler_head; *s != NULL; s = &(*s)->next) {
        if (*s == sock) {
            *s = sock->next;
            break;
        }
    }
    sock->handler = MP_OBJ_NULL;
    if (sock->arrival_fd >= 0) {
        close(sock->arrival_fd);
        sock->arrival_fd = -1;
    }
}

// A set of one socket, which is readable once for each arrival.
static int arrival_open(int fd) {
    struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
    int arrival_fd = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(arrival_fd, EPOLL_CTL_ADD, fd, &ev);
    // What had arrived before is no event.
    epoll_wait(arrival_fd, &ev, 1, 0);
    return arrival_fd;
}

void board_handler_set(board_socket_t *sock, mp_obj_t handler) {
    if (handler == mp_const_none) {
        if (sock->handler != MP_OBJ_NULL) {
            handler_remove(sock);
        }
        return;
    }
    if (sock->fd < 0) {
        if (!board_option_edge()) {
            memory_corrupted("a handler is set on a closed socket");
        }
        return;
    }
    if (sock->handler == MP_OBJ_NULL) {
        if (board_option_edge()) {
            sock->arrival_fd = arrival_open(sock->fd);
        }
        sock->next = handler_head;
        handler_head = sock;
    }
    sock->handler = handler;
}

// As socket_events_handler() of ports/esp32/modsocket.c: all that one select() has found are called, here and now,
// while handlers change the list, and may come here again from a wait of theirs.
void board_handler_call(void) {
    if (handler_head == NULL || --board_handler_counter != 0) {
        return;
    }
    board_handler_counter = LOOK_EACH;
    fd_set ready;
    FD_ZERO(&ready);
    int n = 0;
    for (board_socket_t *s = handler_head; s != NULL; s = s->next) {
        if (s->fd < 0) {
            memory_corrupted("a closed socket has a handler");
        }
        FD_SET(s->fd, &ready);
        n = MAX(n, s->fd + 1);
    }
    if (select(n, &ready, NULL, NULL, &(struct timeval) { 0 }) <= 0) {
        return;
    }
    // A socket that has left the list still points to the one after it.
    for (board_socket_t *s = handler_head; s != NULL; s = s->next) {
        if (s->fd >= 0 && FD_ISSET(s->fd, &ready)) {
            if (s->handler == MP_OBJ_NULL) {
                memory_corrupted("a socket without a handler is called");
            }
            mp_call_function_1_protected(s->handler, MP_OBJ_FROM_PTR(s));
        } else if (s->fd < 0) {
            memory_corrupted("a handler has closed the socket that was next to be called");
        }
    }
}

int board_handler_poll_fds(struct pollfd *fds) {
    int n = 0;
    // With something in the queue, or a callback running, look again later: no event comes twice.
    if (board_option_edge() && MP_STATE_VM(sched_state) == MP_SCHED_IDLE) {
        for (board_socket_t *s = handler_head; s != NULL && n < BOARD_HANDLER_MAX; s = s->next) {
            fds[n++] = (struct pollfd) { .fd = s->arrival_fd, .events = POLLIN };
        }
    }
    return n;
}

void board_handler_schedule(void) {
    struct pollfd fds[BOARD_HANDLER_MAX];
    int n = board_handler_poll_fds(fds);
    if (n == 0 || poll(fds, n, 0) <= 0) {
        return;
    }
    // Oldest first: the listening socket came before its connections.
    board_socket_t *socks[BOARD_HANDLER_MAX];
    n = 0;
    for (board_socket_t *s = handler_head; s != NULL && n < BOARD_HANDLER_MAX; s = s->next) {
        socks[n++] = s;
    }
    while (n-- > 0) {
        struct epoll_event ev;
        if (fds[n].revents && mp_sched_schedule(socks[n]->handler, MP_OBJ_FROM_PTR(socks[n]))) {
            epoll_wait(socks[n]->arrival_fd, &ev, 1, 0);
        }
    }
}
