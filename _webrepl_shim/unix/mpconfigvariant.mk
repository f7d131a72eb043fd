# The virtual board: see mpconfigvariant.h for what each option brings.

FROZEN_MANIFEST = $(VARIANT_DIR)/manifest.py

# A board has none of these host libraries.
MICROPY_PY_BTREE = 0
MICROPY_PY_FFI = 0
MICROPY_PY_TERMIOS = 0

# board_socket.c is a board's socket module.
MICROPY_PY_SOCKET = 0

# 0 builds a board whose firmware lacks the C module _webrepl.
MICROPY_PY_WEBREPL ?= 1
CFLAGS_EXTRA += -DMICROPY_PY_WEBREPL=$(MICROPY_PY_WEBREPL)

# What it is built to behave like: BOARD_ESP32, BOARD_ESP8266 or BOARD_STM32.
BOARD_CHIP ?= BOARD_ESP32
CFLAGS_EXTRA += -DBOARD_CHIP=$(BOARD_CHIP)
ifneq ($(BOARD_CHIP),BOARD_ESP32)
MICROPY_PY_THREAD = 0
endif

# The newest MicroPython leaves this to whoever calls make.
ifeq ($(MICROPY_FORCE_32BIT),1)
CFLAGS_EXTRA += -m32
LDFLAGS_EXTRA += -m32
endif

# Where modos.c does not have os.urandom(), board_os.h does.
ifeq ($(shell grep -c mp_hal_get_random $(TOP)/extmod/modos.c),0)
CFLAGS_EXTRA += -DBOARD_OS_URANDOM=1
endif

# The friendly and the raw REPL that boards have; since 1.27 the unix port compiles pyexec.c itself.
ifeq ($(shell grep -c pyexec.c Makefile),0)
SHARED_SRC_C += shared/runtime/pyexec.c
endif

# sys.stdin and sys.stdout over mp_hal, as on a board; the objects of the same names in vfs_posix_file.c step aside.
SHARED_SRC_C += shared/runtime/sys_stdio_mphal.c
$(BUILD)/extmod/vfs_posix_file.o: CFLAGS += -Dmp_sys_stdin_obj=posix_stdin_obj -Dmp_sys_stdout_obj=posix_stdout_obj -Dmp_sys_stderr_obj=posix_stderr_obj

# A path cannot leave the flash folder, and getcwd() says / at its top.
$(BUILD)/extmod/vfs_posix.o: CFLAGS += -Dmp_obj_str_get_str=board_path_get_str -Dgetcwd=board_getcwd

# modwebrepl.c compares signed with unsigned on a 64-bit host; the port's time_sleep stands unused.
$(BUILD)/extmod/modwebrepl.o: CFLAGS += -Wno-error=sign-compare
$(BUILD)/extmod/modtime.o: CFLAGS += -Wno-unused-function

# What the port's main.c and unix_mphal.c do with a terminal, board_console.c and board_events.c do as a board would.
BOARD_WRAP = mp_hal_stdin_rx_chr mp_hal_delay_ms mp_hal_stdout_tx_strn_cooked mp_hal_set_interrupt_char \
	mp_hal_stdio_mode_raw mp_hal_stdio_mode_orig mp_stderr_print
LDFLAGS_EXTRA += $(addprefix -Wl$(comma)--wrap=,$(BOARD_WRAP))
comma := ,
