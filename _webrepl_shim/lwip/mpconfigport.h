// A MicroPython port for QEMU's mps2-an385, made to behave like the ports with lwIP: RP2, mimxrt, STM32; with
// BOARD_ESP8266 like an ESP8266, as far as this machine can.
#include <alloca.h>
#include <stdint.h>

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

// What differs from here on between the two boards.
#if BOARD_ESP8266
#include "esp8266.h"
#else
// As ports/rp2/mpconfigport.h and mphalport.c have them.
#define MICROPY_SCHEDULER_DEPTH (8)
#define MICROPY_PY_OS_DUPTERM (1)
#define BOARD_STDIN_BUFFER (512)
#define BOARD_STACK (16 * 1024)
#define BOARD_HEAP (192 * 1024)
#define BOARD_NAME "Emulated board"
// lwIP and the soft timers run in PendSV.
#define BOARD_PENDSV (1)
// SysTick ends the wait after 1 ms at the latest.
#define MICROPY_INTERNAL_WFE(TIMEOUT_MS) cortex_m3_wait()
#endif

// What the banner, os.uname() and sys.platform say.
#define MICROPY_HW_BOARD_NAME BOARD_NAME
#define MICROPY_HW_MCU_NAME "Cortex-M3"
#define MICROPY_PY_SYS_PLATFORM "qemu"

// What all boards have.
#define MICROPY_ENABLE_GC (1)
#define MICROPY_ENABLE_FINALISER (1)
#define MICROPY_ENABLE_EMERGENCY_EXCEPTION_BUF (1)
#define MICROPY_STACK_CHECK (1)
#define MICROPY_KBD_EXCEPTION (1)
#define MICROPY_LONGINT_IMPL (MICROPY_LONGINT_IMPL_MPZ)
#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_FLOAT)
#define MICROPY_PERSISTENT_CODE_LOAD (1)
#define MICROPY_WARNINGS (1)
#define MICROPY_ENABLE_SCHEDULER (1)
#define MICROPY_READER_VFS (1)
#define MICROPY_VFS (1)
#define MICROPY_MODULE_FROZEN (1)
#define MICROPY_USE_INTERNAL_ERRNO (1)

#define MICROPY_PY_OS_DUPTERM_NOTIFY (1)
#define MICROPY_PY_OS_INCLUDEFILE "port_os.h"
#define MICROPY_PY_OS_UNAME (1)
#define MICROPY_PY_OS_URANDOM (1)
#define MICROPY_PY_OS_SYNC (1)
#define MICROPY_PY_TIME_TIME_TIME_NS (1)
#define MICROPY_PY_TIME_INCLUDEFILE "port_time.h"
#define MICROPY_PY_RANDOM_SEED_INIT_FUNC (mphal_random())
uint32_t mphal_random(void);
#define MICROPY_PY_MACHINE (1)
#define MICROPY_PY_MACHINE_INCLUDEFILE "port_machine.h"
#define MICROPY_PY_MACHINE_RESET (1)
#define MICROPY_PY_MACHINE_BARE_METAL_FUNCS (1)
#define MICROPY_PY_MACHINE_DISABLE_IRQ_ENABLE_IRQ (1)
#define MICROPY_PY_MACHINE_TIMER (1)

// The hashes come from mbedtls, of which nothing else is used.
#define MICROPY_SSL_MBEDTLS (1)
#define MICROPY_PY_HASHLIB_SHA1 (1)
#define MICROPY_PY_HASHLIB_SHA256 (1)
#define MICROPY_PY_SSL (0)

// The network. modlwip.c is the module socket, without the option for other ports' own.
#define MICROPY_PY_NETWORK (1)
#define MICROPY_PY_NETWORK_HOSTNAME_DEFAULT "mpy-qemu"
#define MICROPY_PORT_NETWORK_INTERFACES { MP_ROM_QSTR(MP_QSTR_LAN), MP_ROM_PTR(&network_lan_type) },
#define MICROPY_PY_LWIP_SOCK_RAW (1)
extern const struct _mp_obj_type_t network_lan_type;

// What a WebREPL is made of, with os.dupterm above.
#define MICROPY_PY_WEBSOCKET (1)
#define MICROPY_PY_WEBREPL (1)

// What the machine has.
#define MICROPY_MAKE_POINTER_CALLABLE(p) ((void *)((mp_uint_t)(p) | 1))
#define MP_SSIZE_MAX (0x7fffffff)
#define UINT_FMT "%u"
#define INT_FMT "%d"
#define HEX_FMT "%x"
typedef intptr_t mp_int_t;
typedef uintptr_t mp_uint_t;
typedef long mp_off_t;
#define MP_NEED_LOG2 (1)
#define MP_STATE_PORT MP_STATE_VM
#define MICROPY_SOFT_TIMER_TICKS_MS mphal_ms
