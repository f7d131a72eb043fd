// The processor's vectors, its start, and its end: a fault is told on the console, and ends the emulation.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "py/mphal.h"

#include "host.h"

extern uint32_t _stack_top, _data_load, _data_start, _data_end, _bss_start, _bss_end;

int main(void);
void SysTick_Handler(void);
void PendSV_Handler(void);
void UART0_RX_Handler(void);
void ETHERNET_Handler(void);

void Reset_Handler(void) {
    memcpy(&_data_start, &_data_load, (uint8_t *)&_data_end - (uint8_t *)&_data_start);
    memset(&_bss_start, 0, (uint8_t *)&_bss_end - (uint8_t *)&_bss_start);
    main();
}

static void fault_tell(const char *name, uint32_t value) {
    char line[40];
    snprintf(line, sizeof(line), "%s=%08lx ", name, (unsigned long)value);
    host_write(line);
}

// The program that boots the board has said how to find the names of the functions.
static void fault_names(uint32_t pc, uint32_t lr) {
    char command[sizeof(HOST_CONFIG->symbols) + 30];
    snprintf(command, sizeof(command), "%s 0x%lx 0x%lx", HOST_CONFIG->symbols, (unsigned long)(pc & ~1),
        (unsigned long)(lr & ~1));
    host_run(command);
}

// Registers as the processor has put them on the stack: Armv7-M Architecture Reference Manual, B1.5.6.
__attribute__((used)) static void fault_report(const uint32_t *stacked) {
    static const char *const names[] = {"r0", "r1", "r2", "r3", "r12", "lr", "pc", "psr"};
    host_write("\r\n*** Fault: ");
    for (int i = 0; i < 8; i++) {
        fault_tell(names[i], stacked[i]);
    }
    // What went wrong, where, and in which interrupt.
    fault_tell("cfsr", CFSR);
    fault_tell("mmfar", MMFAR);
    fault_tell("ipsr", CORTEX_M3_GET(ipsr));
    host_write("\r\n");
    fault_names(stacked[6], stacked[5]);
    host_fail();
}

__attribute__((naked)) void Fault_Handler(void) {
    __asm volatile ("mrs r0, msp\n b fault_report\n");
}

void nlr_jump_fail(void *val) {
    host_write("\r\n*** Fault: an exception that nothing catches\r\n");
    host_fail();
}

void __assert_func(const char *file, int line, const char *function, const char *expression) {
    char message[300];
    snprintf(message, sizeof(message), "\r\n*** Fault: assert(%s) in %s(), %s:%d\r\n", expression, function, file, line);
    host_write(message);
    host_fail();
}

const void *const fault_vectors[CORTEX_M3_INTERRUPTS + 32] __attribute__((section(".vectors"))) = {
    [0] = &_stack_top,
    [1] = Reset_Handler,
    [2 ... CORTEX_M3_INTERRUPTS + 31] = Fault_Handler,
    #if BOARD_PENDSV
    [CORTEX_M3_PENDSV] = PendSV_Handler,
    #endif
    [CORTEX_M3_SYSTICK] = SysTick_Handler,
    [CORTEX_M3_INTERRUPTS + MPHAL_UART0_RX] = UART0_RX_Handler,
    [CORTEX_M3_INTERRUPTS + MPHAL_ETHERNET_IRQ] = ETHERNET_Handler,
};
