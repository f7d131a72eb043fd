// The socket object, for the files that handle it.
#ifndef BOARD_SOCKET_H
#define BOARD_SOCKET_H

#include "py/obj.h"

typedef struct _board_socket_t {
    mp_obj_base_t base;
    // -1 once closed.
    int fd;
    // 0 does not wait, BOARD_SOCKET_FOREVER does without end.
    uint64_t timeout_ms;
    // What board_handler.c keeps: MP_OBJ_NULL without a handler, the next in its list, and what to poll.
    mp_obj_t handler;
    struct _board_socket_t *next;
    int arrival_fd;
} board_socket_t;

#define BOARD_SOCKET_FOREVER (UINT64_MAX)

// Have handler called with the socket when there is something to read; mp_const_none for nobody.
void board_handler_set(board_socket_t *sock, mp_obj_t handler);

#endif // BOARD_SOCKET_H
