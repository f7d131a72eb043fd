// The serial console: what boards do with their UART, done with the terminal (or pipe) on stdin and stdout.

#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "board.h"
#include "py/mphal.h"
#include "py/ringbuf.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "extmod/misc.h"

// As large as an ESP32's, or an ESP8266's.
static uint8_t stdin_ringbuf_array[BOARD_CHIP == BOARD_ESP8266 ? 256 : 260];
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

void board_console_init(void) {
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

// A full ring holds the terminal back while a line is edited; while code runs, the keys must be read all the same, as
// one of them may be Ctrl-C: those that don't fit are lost, as on a UART.
int board_console_fd(void) {
    return stdin_open && (mp_interrupt_char >= 0 || ringbuf_free(&stdin_ringbuf) != 0) ? STDIN_FILENO : -1;
}

void board_console_read(void) {
    struct pollfd pfd = { .fd = board_console_fd(), .events = POLLIN };
    if (poll(&pfd, 1, 0) <= 0) {
        // Nothing, or another thread was here before.
        return;
    }
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

// The terminal stays as board_console_init() set it: the port would flush what was typed ahead.
void __wrap_mp_hal_stdio_mode_raw(void);
void __wrap_mp_hal_stdio_mode_raw(void) {
}

void __wrap_mp_hal_stdio_mode_orig(void);
void __wrap_mp_hal_stdio_mode_orig(void) {
}

uintptr_t unused(uintptr_t poll_flags) {
    uintptr_t ready = poll_flags & MP_STREAM_POLL_WR;
    board_console_read();
    ready |= mp_os_dupterm_poll(poll_flags);
    if ((poll_flags & MP_STREAM_POLL_RD) && ringbuf_peek(&stdin_ringbuf) != -1) {
        ready |= MP_STREAM_POLL_RD;
    }
    return ready;
}
