// The processor: Arm's Cortex-M3, by the names of the Armv7-M Architecture Reference Manual, B3.
#ifndef BOARD_CORTEX_M3_H
#define BOARD_CORTEX_M3_H

#include <stdint.h>

// shared/runtime/softtimer.c wants this of the ports.
#define __IO volatile

#define CORTEX_M3_REGISTER(address) (*(volatile uint32_t *)(address))
#define SYST_CSR CORTEX_M3_REGISTER(0xe000e010)
#define SYST_RVR CORTEX_M3_REGISTER(0xe000e014)
#define SYST_CVR CORTEX_M3_REGISTER(0xe000e018)
#define NVIC_ISER0 CORTEX_M3_REGISTER(0xe000e100)
#define NVIC_ISPR0 CORTEX_M3_REGISTER(0xe000e200)
#define NVIC_IPR ((volatile uint8_t *)0xe000e400)
#define ICSR CORTEX_M3_REGISTER(0xe000ed04)
#define AIRCR CORTEX_M3_REGISTER(0xe000ed0c)
// The system handlers' priorities: of exception n in byte n - 4.
#define SHPR ((volatile uint8_t *)0xe000ed18)
#define CFSR CORTEX_M3_REGISTER(0xe000ed28)
#define MMFAR CORTEX_M3_REGISTER(0xe000ed34)
#define MPU_CTRL CORTEX_M3_REGISTER(0xe000ed94)
#define MPU_RNR CORTEX_M3_REGISTER(0xe000ed98)
#define MPU_RBAR CORTEX_M3_REGISTER(0xe000ed9c)
#define MPU_RASR CORTEX_M3_REGISTER(0xe000eda0)

#define SYST_CSR_PROCESSOR_CLOCK_INTERRUPT_ENABLE (7)
#define ICSR_PENDSVSET (1 << 28)
#define AIRCR_KEY (0x05fau << 16)
#define AIRCR_SYSRESETREQ (1 << 2)
#define MPU_CTRL_PRIVDEFENA_ENABLE (5)
#define MPU_RASR_XN (1 << 28)
// 2 ** (n + 1) bytes, with no access.
#define MPU_RASR_SIZE(n) ((n) << 1)
#define MPU_RASR_ENABLE (1)

enum { CORTEX_M3_PENDSV = 14, CORTEX_M3_SYSTICK = 15, CORTEX_M3_INTERRUPTS = 16 };

// Interrupts are masked by PRIMASK, those of less urgency than a priority by BASEPRI.
#define CORTEX_M3_GET(name) ({ uint32_t value; __asm volatile ("mrs %0, " #name : "=r" (value)); value; })
#define CORTEX_M3_SET(name, value) __asm volatile ("msr " #name ", %0\n isb" : : "r" (value) : "memory")

static inline void cortex_m3_wait(void) {
    __asm volatile ("wfi" : : : "memory");
}

static inline void cortex_m3_enable(int interrupt, int priority) {
    NVIC_IPR[interrupt] = priority;
    NVIC_ISER0 = 1u << interrupt;
}

static inline void cortex_m3_pend(int interrupt) {
    NVIC_ISPR0 = 1u << interrupt;
}

#endif
