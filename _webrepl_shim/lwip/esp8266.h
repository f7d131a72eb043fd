// What makes the board like an ESP8266: ports/esp8266/mpconfigport.h, where no other source is named.

#define BOARD_NAME "Emulated ESP8266"

// main.c
#define BOARD_HEAP (38 * 1024)
#define BOARD_STACK (8 * 1024)
// esp_mphal.c: 255 bytes fit.
#define BOARD_STDIN_BUFFER (256)

// Two consoles: os.dupterm() of slot 0, and the UART in slot 1, which is no different from any other stream.
#define MICROPY_PY_OS_DUPTERM (2)
#define MICROPY_PY_OS_DUPTERM_STREAM_DETACHED_ATTACHED (1)

// A PUT waits for each block, and its block is the C module's own, not the heap's.
#define MICROPY_PY_WEBREPL_DELAY (20)
#define MICROPY_PY_WEBREPL_STATIC_FILEBUF (1)

// py/mpconfig.h: the port does not say.
#define MICROPY_SCHEDULER_DEPTH (4)

// The network and the timers get their turn from the loops of the virtual machine and from all that waits. There, the
// real port does nothing until the next turn; here the host's processor rests until an interrupt, 1 ms at most.
#define BOARD_PENDSV (0)
#define MICROPY_INTERNAL_WFE(TIMEOUT_MS) cortex_m3_wait()
extern void mphal_work(void);
#define MICROPY_INTERNAL_EVENT_HOOK mphal_work()
#define MICROPY_VM_HOOK_COUNT (10)
#define MICROPY_VM_HOOK_INIT static unsigned int vm_hook_divisor = MICROPY_VM_HOOK_COUNT;
#define MICROPY_VM_HOOK_POLL \
    if (--vm_hook_divisor == 0) { \
        vm_hook_divisor = MICROPY_VM_HOOK_COUNT; \
        MICROPY_INTERNAL_EVENT_HOOK; \
    }
#define MICROPY_VM_HOOK_LOOP MICROPY_VM_HOOK_POLL
#define MICROPY_VM_HOOK_RETURN MICROPY_VM_HOOK_POLL

// Floats in an object's word, and so integers of one bit less.
#define MICROPY_OBJ_REPR (MICROPY_OBJ_REPR_C)

// The parser and the garbage collector begin with less memory.
#define MICROPY_GC_STACK_ENTRY_TYPE uint16_t
#define MICROPY_ALLOC_PATH_MAX (128)
#define MICROPY_ALLOC_LEXER_INDENT_INIT (8)
#define MICROPY_ALLOC_PARSE_RULE_INIT (48)
#define MICROPY_ALLOC_PARSE_RULE_INC (8)
#define MICROPY_ALLOC_PARSE_RESULT_INC (8)
#define MICROPY_ALLOC_PARSE_CHUNK_INIT (64)

// boards/ESP8266_GENERIC/mpconfigboard.h
#define MICROPY_ERROR_REPORTING (MICROPY_ERROR_REPORTING_NORMAL)

// str compared with bytes prints a warning.
#define MICROPY_PY_STR_BYTES_CMP_WARN (1)
#define MICROPY_STREAMS_POSIX_API (1)

// What it does without: of the language,
#define MICROPY_COMP_MODULE_CONST (0)
#define MICROPY_COMP_TRIPLE_TUPLE_ASSIGN (0)
#define MICROPY_COMP_RETURN_IF_EXPR (0)
#define MICROPY_PY_DELATTR_SETATTR (0)
#define MICROPY_PY___FILE__ (0)
// by the name it has in 1.29, too,
#define MICROPY_MODULE___FILE__ (0)
// of speed,
#define MICROPY_OPT_LOAD_ATTR_FAST_PATH (0)
#define MICROPY_OPT_MAP_LOOKUP_CACHE (0)
#define MICROPY_OPT_MPZ_BITWISE (0)
#define MICROPY_OPT_MATH_FACTORIAL (0)
// of built-in names,
#define MICROPY_PY_BUILTINS_COMPLEX (0)
#define MICROPY_PY_BUILTINS_STR_CENTER (0)
#define MICROPY_PY_BUILTINS_STR_PARTITION (0)
#define MICROPY_PY_BUILTINS_STR_SPLITLINES (0)
#define MICROPY_PY_BUILTINS_SLICE_INDICES (0)
#define MICROPY_PY_BUILTINS_COMPILE (0)
#define MICROPY_PY_BUILTINS_EXECFILE (0)
#define MICROPY_PY_BUILTINS_NOTIMPLEMENTED (0)
#define MICROPY_PY_BUILTINS_POW3 (0)
// and of modules.
#define MICROPY_PY_MATH_CONSTANTS (0)
#define MICROPY_PY_MATH_SPECIAL_FUNCTIONS (0)
#define MICROPY_PY_MATH_FACTORIAL (0)
#define MICROPY_PY_MATH_ISCLOSE (0)
#define MICROPY_PY_SYS_PS1_PS2 (0)
#define MICROPY_PY_BINASCII_CRC32 (0)
#define MICROPY_PY_RANDOM_EXTRA_FUNCS (0)
#define MICROPY_REPL_EMACS_KEYS (0)
