// Shared by the files of the virtual board, which lie in layers: each uses only those above it here.
// mpconfigvariant.h includes this, so it may use no MicroPython type.
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// board_options.c: how this board behaves. See README.md for the variables of the environment.

// Socket events come as on the lwIP ports, not as on an ESP32.
bool board_option_edge(void);
// The REPL reads dupterm itself, not only what os.dupterm_notify() has put into the ring buffer.
bool board_option_dupterm_direct(void);
// A soft reset frees the heap before it says so, as on ESP32 and ESP8266.
bool board_option_sweep_first(void);
// What Timer(-1) is.
typedef enum { BOARD_TIMER_NONE, BOARD_TIMER_VIRTUAL, BOARD_TIMER_HARDWARE } board_timer_kind_t;
board_timer_kind_t board_option_timer(void);
// The length of a tick of FreeRTOS.
int board_option_tick_us(void);
// How many bytes that are not acknowledged a connection may hold.
int board_option_sndbuf(void);
// The address that sockets are bound to instead of the one asked for: BOARD_HOST, or loopback.
const char *board_option_host(void);
// The board has a network.WLAN, and a network.LAN.
bool board_option_wlan(void);
bool board_option_lan(void);

// board_vfs.c: the folder that is the board's flash and /.
extern char board_root[];
char *board_getcwd(char *buf, size_t size);

// board_console.c: the terminal, or the pipe, on stdin and stdout.
void board_console_init(void);
// What to poll for input, or -1 if there is no room for any or the cable is out; and take what is there.
int board_console_fd(void);
void board_console_read(void);
// sys_stdio_mphal.c calls mp_hal_stdio_poll(), which the unix port's mphalport.h renames to this.
uintptr_t unused(uintptr_t poll_flags);

// board_timer.c: the time until the next timer is due, if that is before timeout_us; and schedule those that are.
int64_t board_timer_wait_us(int64_t timeout_us);
void board_timer_run(void);

// board_handler.c: sockets that have a handler. An ESP32 looks at them and calls; the counter of its looks outlives
// a soft reset. On the lwIP ports what arrives on one of these descriptors schedules.
struct pollfd;
#define BOARD_HANDLER_MAX (32)
extern uint8_t board_handler_counter;
void board_handler_call(void);
int board_handler_poll_fds(struct pollfd *fds);
void board_handler_schedule(void);

// board_events.c: where a board waits or is interrupted.

// Every so many loops of the virtual machine: what interrupts bring in.
void board_events_interrupt(void);
// In select() and its kin: what brings events in, and a wait for them.
void board_events_wait(void);
// Wait up to timeout_us for something on fd, while the console is read; true if there is.
bool board_events_wait_fd(int fd, short events, int64_t timeout_us);

#endif // BOARD_H
