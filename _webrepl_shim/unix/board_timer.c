// machine.Timer: the virtual timers that ESP8266, RP2, STM32 and the newest ESP32 have as Timer(-1), and an ESP32's
// four hardware timers. All call through the scheduler.

#include "board.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/mpstate.h"
#include "py/runtime.h"

#define TIMER_MAX (8)
#define TIMER_HARDWARE_N (4)

enum { TIMER_ONE_SHOT, TIMER_PERIODIC };

typedef struct _board_timer_obj_t {
    mp_obj_base_t base;
    mp_obj_t callback;
    mp_uint_t mode;
    mp_uint_t period_ms;
    mp_uint_t due_ms;
} board_timer_obj_t;

// Those that run, which the program need not keep.
MP_REGISTER_ROOT_POINTER(struct _board_timer_obj_t *board_timers[TIMER_MAX]);
// One object for each hardware timer, as machine_timer_create() of ports/esp32/machine_timer.c has.
MP_REGISTER_ROOT_POINTER(struct _board_timer_obj_t *board_hardware_timers[TIMER_HARDWARE_N]);

int64_t board_timer_wait_us(int64_t timeout_us) {
    // While a callback runs, no other can.
    for (int i = 0; i < TIMER_MAX && MP_STATE_VM(sched_state) == MP_SCHED_IDLE; i++) {
        board_timer_obj_t *timer = MP_STATE_VM(board_timers)[i];
        if (timer != NULL) {
            mp_int_t left_ms = timer->due_ms - mp_hal_ticks_ms();
            timeout_us = MIN(timeout_us, (int64_t)MAX(left_ms, 0) * 1000);
        }
    }
    return timeout_us;
}

void board_timer_run(void) {
    if (MP_STATE_VM(sched_state) != MP_SCHED_IDLE) {
        return;
    }
    for (int i = 0; i < TIMER_MAX; i++) {
        board_timer_obj_t *timer = MP_STATE_VM(board_timers)[i];
        if (timer != NULL && (mp_int_t)(timer->due_ms - mp_hal_ticks_ms()) <= 0) {
            mp_sched_schedule(timer->callback, MP_OBJ_FROM_PTR(timer));
            if (timer->mode == TIMER_PERIODIC) {
                timer->due_ms += timer->period_ms;
            } else {
                MP_STATE_VM(board_timers)[i] = NULL;
            }
        }
    }
}

static mp_obj_t board_timer_deinit(mp_obj_t self_in) {
    for (int i = 0; i < TIMER_MAX; i++) {
        if (MP_STATE_VM(board_timers)[i] == MP_OBJ_TO_PTR(self_in)) {
            MP_STATE_VM(board_timers)[i] = NULL;
        }
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(board_timer_deinit_obj, board_timer_deinit);

static mp_obj_t board_timer_init(size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_mode, ARG_period, ARG_callback };
    static const mp_arg_t allowed_args[] = {
        { MP_QSTR_mode, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = TIMER_PERIODIC } },
        { MP_QSTR_period, MP_ARG_KW_ONLY | MP_ARG_REQUIRED | MP_ARG_INT, { .u_int = 0 } },
        { MP_QSTR_callback, MP_ARG_KW_ONLY | MP_ARG_REQUIRED | MP_ARG_OBJ, { .u_obj = MP_OBJ_NULL } },
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed_args)];
    mp_arg_parse_all(n_args - 1, pos_args + 1, kw_args, MP_ARRAY_SIZE(allowed_args), allowed_args, args);
    board_timer_deinit(pos_args[0]);
    board_timer_obj_t *self = MP_OBJ_TO_PTR(pos_args[0]);
    self->mode = args[ARG_mode].u_int;
    self->period_ms = args[ARG_period].u_int;
    self->callback = args[ARG_callback].u_obj;
    self->due_ms = mp_hal_ticks_ms() + self->period_ms;
    for (int i = 0; i < TIMER_MAX; i++) {
        if (MP_STATE_VM(board_timers)[i] == NULL) {
            MP_STATE_VM(board_timers)[i] = self;
            return mp_const_none;
        }
    }
    mp_raise_OSError(MP_ENOMEM);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(board_timer_init_obj, 1, board_timer_init);

static mp_obj_t board_timer_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, MP_OBJ_FUN_ARGS_MAX, true);
    mp_int_t id = n_args > 0 ? mp_obj_get_int(args[0]) : -1;
    if (id == -1 && board_option_timer() == BOARD_TIMER_HARDWARE) {
        // Up to 1.24 only the lowest bits of the number counted.
        id &= TIMER_HARDWARE_N - 1;
    }
    bool exists = board_option_edge() ? id == -1 : id >= 0 && id < TIMER_HARDWARE_N;
    if (!exists && !(id == -1 && board_option_timer() == BOARD_TIMER_VIRTUAL)) {
        mp_raise_ValueError(MP_ERROR_TEXT("no such Timer"));
    }
    board_timer_obj_t *self = id >= 0 ? MP_STATE_VM(board_hardware_timers)[id] : NULL;
    if (self == NULL) {
        self = mp_obj_malloc(board_timer_obj_t, type);
        if (id >= 0) {
            MP_STATE_VM(board_hardware_timers)[id] = self;
        }
    }
    if (n_args > 1 || n_kw > 0) {
        mp_map_t kw_args;
        mp_map_init_fixed_table(&kw_args, n_kw, args + n_args);
        mp_obj_t init_args[] = { MP_OBJ_FROM_PTR(self) };
        board_timer_init(1, init_args, &kw_args);
    }
    return MP_OBJ_FROM_PTR(self);
}

static const mp_rom_map_elem_t board_timer_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_init), MP_ROM_PTR(&board_timer_init_obj) },
    { MP_ROM_QSTR(MP_QSTR_deinit), MP_ROM_PTR(&board_timer_deinit_obj) },
    { MP_ROM_QSTR(MP_QSTR_ONE_SHOT), MP_ROM_INT(TIMER_ONE_SHOT) },
    { MP_ROM_QSTR(MP_QSTR_PERIODIC), MP_ROM_INT(TIMER_PERIODIC) },
};
static MP_DEFINE_CONST_DICT(board_timer_locals, board_timer_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(
    board_timer_type,
    MP_QSTR_Timer,
    MP_TYPE_FLAG_NONE,
    make_new, board_timer_make_new,
    locals_dict, &board_timer_locals
    );
