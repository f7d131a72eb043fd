// Shared by the files of the virtual board. mpconfigvariant.h includes it, so it may use no MicroPython type.
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

struct pollfd;
struct sockaddr;

// Let the world in: bytes of the serial console go to the ring buffer, events of sockets and timers to the scheduler.
// Waits for one of them up to timeout_ms milliseconds, for ever if it is negative.
void board_poll(int timeout_ms);

// The sockets that have a handler, for board_poll(): fills fds, later schedules the handlers of those ready.
#define BOARD_EVENTS_MAX (16)
int board_socket_poll_fds(struct pollfd *fds);
void board_socket_poll_done(const struct pollfd *fds);

// For board_poll(): the time until the next timer is due, if that is before timeout_ms; and run those that are.
int board_timer_wait_ms(int timeout_ms);
void board_timer_run(void);

// Take over the terminal on stdin, if it is one.
void board_stdio_init(void);

// The address that sockets are bound to instead of the one asked for: BOARD_HOST, or loopback.
const char *board_host(void);

// The folder that is the board's flash and /.
extern char board_root[];
char *board_getcwd(char *buf, size_t size);

// sys_stdio_mphal.c calls mp_hal_stdio_poll(), which the unix port's mphalport.h renames to this.
uintptr_t unused(uintptr_t poll_flags);

#endif // BOARD_H
