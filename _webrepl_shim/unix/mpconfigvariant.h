// The virtual board: MicroPython's unix port made to behave like an ESP32.

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

#include "ports/unix/variants/mpconfigvariant_common.h"
#include "board.h"

// What the banner and os.uname() say.
#define MICROPY_HW_BOARD_NAME "Virtual board"
#define MICROPY_HW_MCU_NAME "unix"
#define MICROPY_PY_OS_UNAME (1)

// The C modules that a WebREPL is made of. MICROPY_PY_WEBREPL comes from the makefile.
#define MICROPY_PY_OS_DUPTERM (1)
#define MICROPY_PY_OS_DUPTERM_NOTIFY (1)

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

// Socket events and the serial console are looked at wherever a board's interrupts would come in:
// every so many loops of the virtual machine, and in everything that waits.
#define MICROPY_SCHEDULER_DEPTH (8)
#define MICROPY_VM_HOOK_COUNT (100)
#define MICROPY_VM_HOOK_INIT static unsigned int vm_hook_divisor = MICROPY_VM_HOOK_COUNT;
#define MICROPY_VM_HOOK_POLL if (--vm_hook_divisor == 0) { vm_hook_divisor = MICROPY_VM_HOOK_COUNT; board_poll(0); }
#define MICROPY_VM_HOOK_LOOP MICROPY_VM_HOOK_POLL
#define MICROPY_VM_HOOK_RETURN MICROPY_VM_HOOK_POLL
#define MICROPY_INTERNAL_EVENT_HOOK board_poll(0)

// socket.TCP_NODELAY and socket.IPPROTO_TCP are answered by a delegate in board_socket.c.
#define MICROPY_MODULE_ATTR_DELEGATION (1)
