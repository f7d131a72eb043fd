// The serial console: a UART of CMSDK, which QEMU connects with the host's terminal.
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"

#include "uart.h"

typedef struct {
    volatile uint32_t data, state, control, interrupt, divisor;
} uart_registers_t;
#define UART0 ((uart_registers_t *)0x40004000)
#define UART_STATE_TX_FULL (1)
#define UART_STATE_RX_FULL (2)
#define UART_CONTROL_TX (1)
#define UART_CONTROL_RX (2)
#define UART_CONTROL_RX_INTERRUPT (8)
#define UART_INTERRUPT_RX (2)

// QEMU brings bytes as fast as they are read; a line of 115200 baud brings this many in a ms.
#define UART_BYTES_PER_MS (12)
static int budget;

#if BOARD_ESP8266
// How often the UART is in a slot of os.dupterm(), and what comes while it is in none: as in ports/esp8266/uart.c.
static int attached;
static uint8_t ringbuf_array[16];
static ringbuf_t ringbuf = {ringbuf_array, sizeof(ringbuf_array)};
#endif

void uart_init(void) {
    UART0->divisor = 16;
    UART0->control = UART_CONTROL_TX | UART_CONTROL_RX | UART_CONTROL_RX_INTERRUPT;
    cortex_m3_enable(MPHAL_UART0_RX, MPHAL_PRIORITY_UART);
}

void uart_tick(void) {
    budget = UART_BYTES_PER_MS;
    cortex_m3_pend(MPHAL_UART0_RX);
}

void UART0_RX_Handler(void) {
    UART0->interrupt = UART_INTERRUPT_RX;
    while (budget > 0 && (UART0->state & UART_STATE_RX_FULL)) {
        budget--;
        int c = UART0->data;
        #if BOARD_ESP8266
        if (!attached) {
            ringbuf_put(&ringbuf, c);
            continue;
        }
        #endif
        if (c == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else {
            // What does not fit is lost, as on a chip.
            ringbuf_put(&stdin_ringbuf, c);
        }
    }
}

void uart_write(const char *str, size_t len) {
    for (size_t i = 0; i < len; i++) {
        while (UART0->state & UART_STATE_TX_FULL) {
        }
        UART0->data = str[i];
    }
}

static void uart_print_strn(void *env, const char *str, size_t len) {
    uart_write(str, len);
}

const mp_print_t uart_print = {NULL, uart_print_strn};

#if BOARD_ESP8266

void uart_attach(int difference) {
    attached += difference;
}

// machine.UART(0), for os.dupterm() to have in its slot 1, and to give back; its arguments change nothing.
static mp_obj_t uart_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    return MP_OBJ_FROM_PTR(mp_obj_malloc(mp_obj_base_t, type));
}

static mp_uint_t uart_stream_read(mp_obj_t self_in, void *buf, mp_uint_t size, int *errcode) {
    mp_uint_t n = 0;
    for (int c; n < size && (c = ringbuf_get(&ringbuf)) != -1; n++) {
        ((uint8_t *)buf)[n] = c;
    }
    if (n == 0) {
        *errcode = MP_EAGAIN;
        return MP_STREAM_ERROR;
    }
    return n;
}

static mp_uint_t uart_stream_write(mp_obj_t self_in, const void *buf, mp_uint_t size, int *errcode) {
    uart_write(buf, size);
    return size;
}

static mp_uint_t uart_stream_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
    if (request == MP_STREAM_POLL) {
        return arg & (MP_STREAM_POLL_WR | (ringbuf_avail(&ringbuf) ? MP_STREAM_POLL_RD : 0));
    }
    *errcode = MP_EINVAL;
    return MP_STREAM_ERROR;
}

static const mp_rom_map_elem_t uart_locals_dict_table[] = {
    { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&mp_stream_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&mp_stream_readinto_obj) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&mp_stream_write_obj) },
};
static MP_DEFINE_CONST_DICT(uart_locals_dict, uart_locals_dict_table);

static const mp_stream_p_t uart_stream_p = {
    .read = uart_stream_read,
    .write = uart_stream_write,
    .ioctl = uart_stream_ioctl,
};

MP_DEFINE_CONST_OBJ_TYPE(
    uart_type,
    MP_QSTR_UART,
    MP_TYPE_FLAG_NONE,
    make_new, uart_make_new,
    protocol, &uart_stream_p,
    locals_dict, &uart_locals_dict
    );

#endif
