// What MicroPython's core, lwIP and this port's files want of the machine.
#ifndef BOARD_MPHALPORT_H
#define BOARD_MPHALPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "py/ringbuf.h"
#include "shared/runtime/interrupt_char.h"

// What CMSIS wants to know of the chip: Arm's application note AN385.
typedef enum {
    NonMaskableInt_IRQn = -14,
    MemoryManagement_IRQn = -12,
    BusFault_IRQn = -11,
    UsageFault_IRQn = -10,
    SVCall_IRQn = -5,
    DebugMonitor_IRQn = -4,
    PendSV_IRQn = -2,
    SysTick_IRQn = -1,
    UART0_RX_IRQn = 0,
    ETHERNET_IRQn = 13,
} IRQn_Type;
#define __CM3_REV 0x0201
#define __MPU_PRESENT 1
#define __NVIC_PRIO_BITS 8
#define __Vendor_SysTickConfig 0
#include "core_cm3.h"

// All interrupts come before PendSV.
#define MPHAL_PRIORITY_UART (0x10)
#define MPHAL_PRIORITY_ETHERNET (0x20)
#define MPHAL_PRIORITY_PENDSV (0xf0)

static inline mp_uint_t disable_irq(void) {
    mp_uint_t state = __get_PRIMASK();
    __disable_irq();
    return state;
}

static inline void enable_irq(mp_uint_t state) {
    __set_PRIMASK(state);
}

#define MICROPY_BEGIN_ATOMIC_SECTION() disable_irq()
#define MICROPY_END_ATOMIC_SECTION(state) enable_irq(state)

#if BOARD_PENDSV
static inline uint32_t mphal_raise_priority(void) {
    uint32_t basepri = __get_BASEPRI();
    __ASM volatile ("msr basepri_max, %0" : : "r" (MPHAL_PRIORITY_PENDSV) : "memory");
    return basepri;
}

static inline void mphal_restore_priority(uint32_t basepri) {
    __set_BASEPRI(basepri);
    __ISB();
}

// As ports/stm32 and ports/mimxrt keep PendSV out.
#define MICROPY_PY_PENDSV_ENTER uint32_t atomic_state = mphal_raise_priority();
#define MICROPY_PY_PENDSV_REENTER atomic_state = mphal_raise_priority();
#define MICROPY_PY_PENDSV_EXIT mphal_restore_priority(atomic_state);
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
uint32_t mphal_random(void);

static inline mp_uint_t mp_hal_ticks_cpu(void) {
    return 0;
}

void mp_hal_set_interrupt_char(int c);
#define mp_hal_delay_us_fast mp_hal_delay_us

#endif
