// What os has of a port: included by extmod/modos.c.
#include "py/mphal.h"

#include "uart.h"

#if MICROPY_VERSION < MICROPY_MAKE_VERSION(1, 29, 0)
// Later versions have it in common.
static mp_obj_t mp_os_urandom(mp_obj_t num) {
    vstr_t vstr;
    vstr_init_len(&vstr, mp_obj_get_int(num));
    mp_hal_get_random(vstr.len, (uint8_t *)vstr.buf);
    return mp_obj_new_bytes_from_vstr(&vstr);
}
static MP_DEFINE_CONST_FUN_OBJ_1(mp_os_urandom_obj, mp_os_urandom);
#endif

#if BOARD_ESP8266
// As in ports/esp8266/modos.c: the UART is a console while it is in a slot.
void mp_os_dupterm_stream_detached_attached(mp_obj_t stream_detached, mp_obj_t stream_attached) {
    uart_attach(mp_obj_is_type(stream_attached, &uart_type) - mp_obj_is_type(stream_detached, &uart_type));
}
#endif
