// The virtual board: MicroPython's unix port made to behave like an ESP32 or, with BOARD_CHIP, like another.

#define BOARD_ESP32 (0)
#define BOARD_ESP8266 (1)
#define BOARD_STM32 (2)
#ifndef BOARD_CHIP
#define BOARD_CHIP BOARD_ESP32
#endif

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

#if BOARD_CHIP == BOARD_ESP8266
#include "board_esp8266.h"
#endif

#include "ports/unix/variants/mpconfigvariant_common.h"
#include "board.h"

// What the banner and os.uname() say.
#define MICROPY_HW_BOARD_NAME "Virtual board"
#define MICROPY_HW_MCU_NAME "unix"
#define MICROPY_PY_OS_UNAME (1)

// The C modules that a WebREPL is made of. MICROPY_PY_WEBREPL comes from the makefile.
#define MICROPY_PY_OS_DUPTERM (1)
#define MICROPY_PY_OS_DUPTERM_NOTIFY (BOARD_CHIP != BOARD_STM32)

// board_os.h declares stdin_ringbuf for os.dupterm_notify(), and replaces the unix port's os.system() and its kin.
#undef MICROPY_PY_OS_INCLUDEFILE
#define MICROPY_PY_OS_INCLUDEFILE "board_os.h"
#undef MICROPY_PY_OS_ERRNO
#define MICROPY_PY_OS_ERRNO (0)
#undef MICROPY_PY_OS_GETENV_PUTENV_UNSETENV
#define MICROPY_PY_OS_GETENV_PUTENV_UNSETENV (0)
#undef MICROPY_PY_OS_SYSTEM
#define MICROPY_PY_OS_SYSTEM (0)

// machine is a Python module in this folder.
#undef MICROPY_PY_MACHINE
#define MICROPY_PY_MACHINE (0)
#undef MICROPY_PY_MACHINE_PULSE
#define MICROPY_PY_MACHINE_PULSE (0)
#undef MICROPY_PY_MACHINE_PIN_BASE
#define MICROPY_PY_MACHINE_PIN_BASE (0)

// time.sleep() goes through mp_hal_delay_ms(), which runs events; the unix port's own blocks in select().
#undef MICROPY_PY_TIME_CUSTOM_SLEEP

// poll() asks each object in turn, as on a board; with this on, a poll(0) of sys.stdin takes 1 ms.
#undef MICROPY_PY_SELECT_POSIX_OPTIMISATIONS
#define MICROPY_PY_SELECT_POSIX_OPTIMISATIONS (0)

// What comes in with interrupts on a board does so every so many loops of the virtual machine: see board_events.c.
#define MICROPY_SCHEDULER_DEPTH (BOARD_CHIP == BOARD_ESP8266 ? 4 : 8)
#define MICROPY_VM_HOOK_COUNT (100)
#define MICROPY_VM_HOOK_INIT static unsigned int vm_hook_divisor = MICROPY_VM_HOOK_COUNT;
#define MICROPY_VM_HOOK_POLL \
    if (--vm_hook_divisor == 0) { \
        vm_hook_divisor = MICROPY_VM_HOOK_COUNT; \
        board_events_interrupt(); \
    }
#define MICROPY_VM_HOOK_LOOP MICROPY_VM_HOOK_POLL
#define MICROPY_VM_HOOK_RETURN MICROPY_VM_HOOK_POLL
#define MICROPY_INTERNAL_EVENT_HOOK board_events_interrupt()
// select() waits in it.
#define MICROPY_EVENT_POLL_HOOK board_events_wait();
