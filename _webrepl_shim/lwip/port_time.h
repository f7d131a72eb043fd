// What time has of a port: included by extmod/modtime.c. The clock begins when the board does.
#include "py/mphal.h"

static mp_obj_t mp_time_time_get(void) {
    return mp_obj_new_int_from_uint(mp_hal_ticks_ms() / 1000);
}
