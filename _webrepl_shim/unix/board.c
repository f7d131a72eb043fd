// The module _board: what the frozen board.py cannot do in Python, which is to start and to restart.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "board.h"
#include "py/builtin.h"
#include "py/gc.h"
#include "py/mphal.h"
#include "py/mpstate.h"
#include "py/runtime.h"
#include "shared/readline/readline.h"
#include "shared/runtime/pyexec.h"

#if MICROPY_VERSION < MICROPY_MAKE_VERSION(1, 24, 0)
#error "The virtual board needs MicroPython 1.24 or newer"
#endif

// What a board remembers over a soft reset: that the REPL was in raw mode, and its place among eight looks at sockets.
#define RAW_REPL_ENV "BOARD_RAW_REPL"
#define COUNTER_ENV "BOARD_COUNTER"

static char **board_argv;

// ports/unix/main.c's, before it reads -X heapsize.
extern long heap_size;

// glibc gives a constructor what main() gets.
__attribute__((constructor)) static void board_init(int argc, char **argv, char **envp) {
    (void)argc;
    (void)envp;
    board_argv = argv;
    if (getcwd(board_root, PATH_MAX) == NULL) {
        board_root[0] = '\0';
    }
    if (strcmp(board_root, "/") == 0) {
        board_root[0] = '\0';
    }
    #if BOARD_CHIP == BOARD_ESP8266
    // So that some 33 kB are free at the prompt.
    heap_size = 35 * 1024;
    #endif
}

// A reset, soft or not: this program again from its start, with nothing open but the serial console.
static void __attribute__((noreturn)) board_restart(void) {
    if (chdir(board_root[0] ? board_root : "/") != 0) {
        perror(board_root);
    }
    closefrom(3);
    execv("/proc/self/exe", board_argv);
    perror("/proc/self/exe");
    exit(1);
}

static mp_obj_t board_reset(void) {
    board_restart();
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_reset_obj, board_reset);

// boot.py, main.py and the REPL, as ports/esp32 and its like run them.
static int board_session(void) {
    int ret = pyexec_file_if_exists("boot.py");
    if (ret & PYEXEC_FORCED_EXIT) {
        return ret;
    }
    if (pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL) {
        ret = pyexec_file_if_exists("main.py");
        if (ret & PYEXEC_FORCED_EXIT) {
            return ret;
        }
    }
    do {
        ret = pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl();
    } while (ret == 0);
    return ret;
}

static mp_obj_t board_run(void) {
    // Scripts and REPL share __main__, which "-m board" has taken for itself.
    mp_globals_set(&MP_STATE_VM(dict_main));
    mp_locals_set(&MP_STATE_VM(dict_main));
    mp_obj_dict_store(MP_OBJ_FROM_PTR(&MP_STATE_VM(mp_loaded_modules_dict)),
        MP_OBJ_NEW_QSTR(MP_QSTR___main__), MP_OBJ_FROM_PTR(&mp_module___main__));
    board_console_init();
    readline_init0();
    if (getenv(RAW_REPL_ENV) != NULL) {
        unsetenv(RAW_REPL_ENV);
        pyexec_mode_kind = PYEXEC_MODE_RAW_REPL;
    }
    const char *counter_env = getenv(COUNTER_ENV);
    if (counter_env != NULL) {
        board_handler_counter = atoi(counter_env);
        unsetenv(COUNTER_ENV);
    }
    board_session();
    if (board_option_sweep_first()) {
        // As mp_task() of ports/esp32/main.c and soft_reset() of ports/esp8266/main.c: a stream that os.dupterm() was
        // given is called below in memory that is free, and may be given out again.
        gc_sweep_all();
    }
    mp_hal_stdout_tx_str("MPY: soft reboot\r\n");
    char counter[4];
    snprintf(counter, sizeof(counter), "%d", board_handler_counter);
    setenv(COUNTER_ENV, counter, 1);
    if (pyexec_mode_kind == PYEXEC_MODE_RAW_REPL) {
        setenv(RAW_REPL_ENV, "1", 1);
    }
    board_restart();
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_run_obj, board_run);

static mp_obj_t board_host(void) {
    return mp_obj_new_str_from_cstr(board_option_host());
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_host_obj, board_host);

static mp_obj_t board_lan(void) {
    return mp_obj_new_bool(board_option_lan());
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_lan_obj, board_lan);

static mp_obj_t board_wlan(void) {
    return mp_obj_new_bool(board_option_wlan());
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_wlan_obj, board_wlan);

static mp_obj_t board_root_get(void) {
    return mp_obj_new_str_from_cstr(board_root);
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_root_obj, board_root_get);

extern const mp_obj_type_t board_timer_type;

static const mp_rom_map_elem_t board_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__board) },
    { MP_ROM_QSTR(MP_QSTR_Timer), MP_ROM_PTR(&board_timer_type) },
    { MP_ROM_QSTR(MP_QSTR_host), MP_ROM_PTR(&board_host_obj) },
    { MP_ROM_QSTR(MP_QSTR_lan), MP_ROM_PTR(&board_lan_obj) },
    { MP_ROM_QSTR(MP_QSTR_reset), MP_ROM_PTR(&board_reset_obj) },
    { MP_ROM_QSTR(MP_QSTR_root), MP_ROM_PTR(&board_root_obj) },
    { MP_ROM_QSTR(MP_QSTR_run), MP_ROM_PTR(&board_run_obj) },
    { MP_ROM_QSTR(MP_QSTR_wlan), MP_ROM_PTR(&board_wlan_obj) },
};
static MP_DEFINE_CONST_DICT(board_globals, board_globals_table);

const mp_obj_module_t board_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&board_globals,
};
MP_REGISTER_MODULE(MP_QSTR__board, board_module);
