// The serial console: what boards do with their UART, done with the terminal (or pipe) on stdin and stdout.

#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "py/mphal.h"
#include "py/mpstate.h"
#include "py/ringbuf.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "extmod/misc.h"

// As large as an ESP32's.
static uint8_t stdin_ringbuf_array[260];
ringbuf_t stdin_ringbuf = { stdin_ringbuf_array, sizeof(stdin_ringbuf_array), 0, 0 };

// Ctrl-C while code runs, -1 while a line is edited: the REPL takes it as a key then. Declared by
// shared/runtime/interrupt_char.h, which does not go together with the port's mphalport.h.
extern int mp_interrupt_char;
int mp_interrupt_char = -1;

static bool stdin_open = true;

// Leave a usable terminal behind, whatever state a soft reset inherited it in.
static void stdio_exit(int signum) {
    struct termios t;
    if (tcgetattr(STDIN_FILENO, &t) == 0) {
        t.c_iflag |= ICRNL | IXON;
        t.c_oflag |= OPOST;
        t.c_lflag |= ICANON | ECHO | ISIG | IEXTEN;
        t.c_cc[VINTR] = CHAR_CTRL_C;
        t.c_cc[VSUSP] = 'Z' & 0x1f;
        t.c_cc[VEOF] = 'D' & 0x1f;
        tcsetattr(STDIN_FILENO, TCSANOW, &t);
    }
    _exit(128 + signum);
}

void board_stdio_init(void) {
    struct termios t;
    if (tcgetattr(STDIN_FILENO, &t) != 0) {
        return;
    }
    signal(SIGTERM, stdio_exit);
    signal(SIGHUP, stdio_exit);
    signal(SIGINT, stdio_exit);
    signal(SIGQUIT, stdio_exit);
    // Every key is the board's, but Ctrl-\, with which a person stops it.
    t.c_iflag &= ~(BRKINT | ICRNL | INLCR | IGNCR | INPCK | ISTRIP | IXON);
    t.c_oflag &= ~OPOST;
    t.c_lflag &= ~(ICANON | ECHO | ECHONL | IEXTEN);
    t.c_lflag |= ISIG;
    t.c_cc[VINTR] = _POSIX_VDISABLE;
    t.c_cc[VSUSP] = _POSIX_VDISABLE;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

// Take in what the terminal has. A full ring holds the terminal back while a line is edited; while code runs, the
// keys must be read all the same, as one of them may be Ctrl-C: those that don't fit are lost, as on a UART.
static void stdin_read(void) {
    uint8_t buf[sizeof(stdin_ringbuf_array)];
    size_t room = ringbuf_free(&stdin_ringbuf);
    ssize_t n = read(STDIN_FILENO, buf, room ? room : 1);
    if (n <= 0) {
        // The cable is out; the board runs on.
        stdin_open = false;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (buf[i] == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else {
            ringbuf_put(&stdin_ringbuf, buf[i]);
        }
    }
}

void board_poll(int timeout_ms) {
    // Timers first: a socket that stays readable leaves the scheduler no other turn.
    board_timer_run();
    timeout_ms = MP_STATE_VM(sched_state) == MP_SCHED_PENDING ? 0 : board_timer_wait_ms(timeout_ms);
    struct pollfd fds[1 + BOARD_EVENTS_MAX];
    bool want_stdin = stdin_open && (mp_interrupt_char >= 0 || ringbuf_free(&stdin_ringbuf) != 0);
    fds[0].fd = want_stdin ? STDIN_FILENO : -1;
    fds[0].events = POLLIN;
    int n = board_socket_poll_fds(fds + 1);
    int ready = n == 0 && !want_stdin && timeout_ms == 0 ? 0 : poll(fds, 1 + n, timeout_ms);
    if (ready > 0 && fds[0].revents) {
        stdin_read();
    }
    if (ready > 0 && n != 0) {
        board_socket_poll_done(fds + 1);
    }
}

int __wrap_mp_hal_stdin_rx_chr(void);
int __wrap_mp_hal_stdin_rx_chr(void) {
    for (;;) {
        int c = ringbuf_get(&stdin_ringbuf);
        if (c != -1) {
            return c;
        }
        // Inside a callback no other callback can run, so there only the serial console is worth waiting for.
        board_poll(MP_STATE_VM(sched_state) < 0 ? 1 : -1);
        mp_handle_pending(true);
    }
}

void __wrap_mp_hal_stdout_tx_strn_cooked(const char *str, size_t len);
void __wrap_mp_hal_stdout_tx_strn_cooked(const char *str, size_t len) {
    const char *end = str + len;
    while (str < end) {
        const char *nl = memchr(str, '\n', end - str);
        const char *stop = nl ? nl : end;
        if (stop != str) {
            mp_hal_stdout_tx_strn(str, stop - str);
        }
        if (nl) {
            mp_hal_stdout_tx_strn("\r\n", 2);
            stop++;
        }
        str = stop;
    }
}

static void stderr_print_strn(void *env, const char *str, size_t len) {
    (void)env;
    __wrap_mp_hal_stdout_tx_strn_cooked(str, len);
}

// Exceptions in callbacks go to both consoles, like all else.
const mp_print_t __wrap_mp_stderr_print = { NULL, stderr_print_strn };

void __wrap_mp_hal_set_interrupt_char(char c);
void __wrap_mp_hal_set_interrupt_char(char c) {
    mp_interrupt_char = c == CHAR_CTRL_C ? c : -1;
}

// The terminal stays as board_stdio_init() set it: the port would flush what was typed ahead.
void __wrap_mp_hal_stdio_mode_raw(void);
void __wrap_mp_hal_stdio_mode_raw(void) {
}

void __wrap_mp_hal_stdio_mode_orig(void);
void __wrap_mp_hal_stdio_mode_orig(void) {
}

uintptr_t unused(uintptr_t poll_flags) {
    uintptr_t ready = poll_flags & MP_STREAM_POLL_WR;
    board_poll(0);
    ready |= mp_os_dupterm_poll(poll_flags);
    if ((poll_flags & MP_STREAM_POLL_RD) && ringbuf_peek(&stdin_ringbuf) != -1) {
        ready |= MP_STREAM_POLL_RD;
    }
    return ready;
}
