// Included by extmod/modos.c: what os needs from a port.
#include "py/mphal.h"
#include "py/ringbuf.h"

extern ringbuf_t stdin_ringbuf;

#if BOARD_OS_URANDOM
static mp_obj_t mp_os_urandom(mp_obj_t num) {
    vstr_t vstr;
    vstr_init_len(&vstr, mp_obj_get_int(num));
    mp_hal_get_random(vstr.len, vstr.buf);
    return mp_obj_new_bytes_from_vstr(&vstr);
}
static MP_DEFINE_CONST_FUN_OBJ_1(mp_os_urandom_obj, mp_os_urandom);
#endif
