// What MicroPython's core, lwIP and this port's files want of the machine.
#ifndef BOARD_MPHALPORT_H
#define BOARD_MPHALPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "py/ringbuf.h"
#include "shared/runtime/interrupt_char.h"

#include "cortex_m3.h"

// The machine's interrupts: Arm's application note AN385.
enum { MPHAL_UART0_RX = 0, MPHAL_ETHERNET_IRQ = 13 };

// All interrupts come before PendSV.
#define MPHAL_PRIORITY_UART (0x10)
#define MPHAL_PRIORITY_ETHERNET (0x20)
#define MPHAL_PRIORITY_PENDSV (0xf0)

static inline mp_uint_t disable_irq(void) {
    mp_uint_t state = CORTEX_M3_GET(primask);
    __asm volatile ("cpsid i" : : : "memory");
    return state;
}

static inline void enable_irq(mp_uint_t state) {
    CORTEX_M3_SET(primask, state);
}

#define MICROPY_BEGIN_ATOMIC_SECTION() disable_irq()
#define MICROPY_END_ATOMIC_SECTION(state) enable_irq(state)

#if BOARD_PENDSV
static inline uint32_t mphal_raise_priority(void) {
    uint32_t priority = CORTEX_M3_GET(basepri);
    CORTEX_M3_SET(basepri_max, MPHAL_PRIORITY_PENDSV);
    return priority;
}

// As ports/stm32 and ports/mimxrt keep PendSV out.
#define MICROPY_PY_PENDSV_ENTER uint32_t atomic_state = mphal_raise_priority();
#define MICROPY_PY_PENDSV_REENTER atomic_state = mphal_raise_priority();
#define MICROPY_PY_PENDSV_EXIT CORTEX_M3_SET(basepri, atomic_state);
#define MICROPY_PY_LWIP_ENTER MICROPY_PY_PENDSV_ENTER
#define MICROPY_PY_LWIP_REENTER MICROPY_PY_PENDSV_REENTER
#define MICROPY_PY_LWIP_EXIT MICROPY_PY_PENDSV_EXIT
#else
// lwIP and the soft timers run where MicroPython waits and looks: nothing has to be kept out.
#define MICROPY_PY_PENDSV_ENTER
#define MICROPY_PY_PENDSV_EXIT
#endif

// What interrupts leave to be done, first come first.
enum { MPHAL_SOFT_TIMER, MPHAL_ETHERNET, MPHAL_LWIP, MPHAL_WORK };
void mphal_work_schedule(int work);
void mphal_work(void);

extern volatile uint32_t mphal_ms;
extern ringbuf_t stdin_ringbuf;

void mphal_init(void);
void mp_hal_get_random(size_t n, uint8_t *buf);

static inline mp_uint_t mp_hal_ticks_cpu(void) {
    return 0;
}

void mp_hal_set_interrupt_char(int c);
#define mp_hal_delay_us_fast mp_hal_delay_us

#endif
