// Where a board waits or is interrupted, and what comes in there.
//
// On the lwIP ports it is all the same: arrivals schedule handlers. An ESP32 is interrupted by its console and its
// timers only; sockets are looked at where the main task waits, which are the functions here that call
// board_handler_call().

// For ppoll().
#define _GNU_SOURCE

#include <poll.h>
#include <time.h>

#include "board.h"
#include "extmod/misc.h"
#include "py/mphal.h"
#include "py/mpstate.h"
#include "py/mpthread.h"
#include "py/ringbuf.h"
#include "py/runtime.h"

extern ringbuf_t stdin_ringbuf;

static int64_t now_us(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

// Wait up to timeout_us for the console, fd and arrivals, and let in what has come; true if fd is ready.
static bool events_poll(int fd, short events, int64_t timeout_us) {
    struct pollfd fds[2 + BOARD_HANDLER_MAX];
    fds[0] = (struct pollfd) { .fd = board_console_fd(), .events = POLLIN };
    fds[1] = (struct pollfd) { .fd = fd, .events = events };
    int n = 2 + board_handler_poll_fds(fds + 2);
    struct timespec ts = { timeout_us / 1000000, timeout_us % 1000000 * 1000 };
    if (timeout_us > 0) {
        MP_THREAD_GIL_EXIT();
    }
    int ready = ppoll(fds, n, &ts, NULL);
    if (timeout_us > 0) {
        MP_THREAD_GIL_ENTER();
    }
    if (ready > 0 && fds[0].revents) {
        board_console_read();
    }
    if (ready > 0 && n > 2) {
        board_handler_schedule();
    }
    return ready > 0 && fds[1].revents;
}

void board_events_interrupt(void) {
    // Timers first: a socket that has arrivals leaves the scheduler no other turn.
    board_timer_run();
    events_poll(-1, 0, 0);
}

// A wait that ends early for what is to be done by mp_handle_pending().
static void events_sleep(int64_t timeout_us) {
    board_timer_run();
    bool pending = MP_STATE_VM(sched_state) == MP_SCHED_PENDING || MP_STATE_THREAD(mp_pending_exception) != MP_OBJ_NULL;
    events_poll(-1, 0, pending ? 0 : board_timer_wait_us(timeout_us));
    board_timer_run();
}

// Until FreeRTOS' next tick, as ulTaskNotifyTake(pdFALSE, 1) waits.
static int64_t until_tick_us(void) {
    int tick = board_option_tick_us();
    return tick - now_us() % tick;
}

void board_events_wait(void) {
    if (board_option_edge()) {
        // The port sleeps until an interrupt, of which its clock is one, each millisecond.
        events_sleep(1000);
        mp_handle_pending(true);
    } else {
        // MICROPY_EVENT_POLL_HOOK of ports/esp32/mpconfigport.h.
        mp_handle_pending(true);
        board_handler_call();
        events_sleep(until_tick_us());
    }
}

bool board_events_wait_fd(int fd, short events, int64_t timeout_us) {
    int64_t end = now_us() + timeout_us;
    int64_t left = timeout_us;
    do {
        if (events_poll(fd, events, MAX(left, 0))) {
            return true;
        }
        left = end - now_us();
    } while (left > 0);
    board_timer_run();
    return false;
}

int __wrap_mp_hal_stdin_rx_chr(void);
int __wrap_mp_hal_stdin_rx_chr(void) {
    for (;;) {
        int c = ringbuf_get(&stdin_ringbuf);
        if (c == -1 && board_option_dupterm_direct()) {
            c = mp_os_dupterm_rx_chr();
        }
        if (c >= 0) {
            return c;
        }
        if (board_option_edge() && !board_option_dupterm_direct()) {
            // Nothing else is to be asked each millisecond. Inside a callback no other callback can run.
            events_sleep(MP_STATE_VM(sched_state) < 0 ? 1000 : 1000000);
            mp_handle_pending(true);
        } else {
            board_events_wait();
        }
    }
}

// As mp_hal_delay_ms() of ports/esp32/mphalport.c: looks at sockets once at least, however short it is, and waits
// out the last tick without.
static void delay_as_esp32(int64_t us) {
    int64_t end = now_us() + us;
    for (;;) {
        mp_handle_pending(true);
        board_handler_call();
        if (now_us() + board_option_tick_us() >= end) {
            break;
        }
        events_sleep(until_tick_us());
    }
    for (int64_t left; (left = end - now_us()) > 0;) {
        events_sleep(left);
        mp_handle_pending(true);
    }
}

void __wrap_mp_hal_delay_ms(mp_uint_t ms);
void __wrap_mp_hal_delay_ms(mp_uint_t ms) {
    if (!board_option_edge()) {
        delay_as_esp32((int64_t)ms * 1000);
        return;
    }
    int64_t end = now_us() + (int64_t)ms * 1000;
    board_events_interrupt();
    mp_handle_pending(true);
    for (int64_t left; (left = end - now_us()) > 0;) {
        events_sleep(MP_STATE_VM(sched_state) < 0 ? MIN(left, 1000) : left);
        mp_handle_pending(true);
    }
}
