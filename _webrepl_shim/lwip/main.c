// The board's start: boot.py, main.py, then the REPL, and all of it again at each soft reset.
#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stackctrl.h"
#include "extmod/misc.h"
#include "extmod/modnetwork.h"
#include "shared/readline/readline.h"
#include "shared/runtime/gchelper.h"
#include "shared/runtime/pyexec.h"
#include "shared/runtime/softtimer.h"
#include "lwip/init.h"

#include "flash.h"
#include "host.h"
#include "lan9118.h"
#include "uart.h"

extern uint8_t _heap_start, _stack_top;

static void main_start(void) {
    mp_stack_set_top(&_stack_top);
    mp_stack_set_limit(BOARD_STACK - 1024);
    size_t heap = HOST_CONFIG->heap ? HOST_CONFIG->heap : BOARD_HEAP;
    gc_init(&_heap_start, &_heap_start + heap);
    mp_init();
    mp_obj_list_append(mp_sys_path, MP_OBJ_NEW_QSTR(MP_QSTR__slash_lib));
    mod_network_init();
    readline_init0();
    #if BOARD_ESP8266
    // As in ports/esp8266/main.c, mp_reset(), and modules/_boot.py.
    mp_obj_list_append(mp_sys_path, MP_OBJ_NEW_QSTR(MP_QSTR__slash_));
    mp_obj_t args[] = {MP_OBJ_TYPE_GET_SLOT(&uart_type, make_new)(&uart_type, 0, 0, NULL), MP_OBJ_NEW_SMALL_INT(1)};
    mp_os_dupterm_obj.fun.var(2, args);
    MP_STATE_MEM(gc_alloc_threshold) = heap / 4 / MICROPY_BYTES_PER_GC_BLOCK;
    #endif
    flash_mount();
}

static void main_run(void) {
    // As in ports/rp2/main.c: after a boot.py that ended with an exception there is no main.py.
    int ret = pyexec_file_if_exists("boot.py");
    if (ret != 0 && !(ret & PYEXEC_FORCED_EXIT) && pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL) {
        ret = pyexec_file_if_exists("main.py");
    }
    if (ret & PYEXEC_FORCED_EXIT) {
        return;
    }
    while ((pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl()) == 0) {
    }
}

static void main_end(void) {
    #if BOARD_ESP8266
    // As in ports/esp8266/main.c, soft_reset(): what os.dupterm() has gets this when its memory is free already.
    gc_sweep_all();
    mp_hal_stdout_tx_str("MPY: soft reboot\r\n");
    mod_network_deinit();
    soft_timer_deinit();
    #else
    // As in ports/rp2/main.c.
    mp_printf(MP_PYTHON_PRINTER, "MPY: soft reboot\n");
    mod_network_deinit();
    soft_timer_deinit();
    gc_sweep_all();
    #endif
    mp_deinit();
}

int main(void) {
    mphal_init();
    // Once: it cannot be done again.
    lwip_init();
    lan9118_init();
    for (;;) {
        main_start();
        main_run();
        main_end();
    }
}

void gc_collect(void) {
    gc_collect_start();
    gc_helper_collect_regs_and_stack();
    soft_timer_gc_mark_all();
    gc_collect_end();
}
