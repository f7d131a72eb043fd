// The clock, what interrupts leave to be done, and the consoles as MicroPython reads and writes them.
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "extmod/misc.h"
#include "shared/runtime/softtimer.h"
#include "lwip/timeouts.h"

#include "lan9118.h"
#include "uart.h"

// A counter of FPGAIO, at 25 MHz over a divisor: it goes by the host's clock, so that no time is lost when QEMU comes
// late with a tick.
#define FPGAIO_COUNTER (*(volatile uint32_t *)0x40028018)
#define FPGAIO_PRESCALE (*(volatile uint32_t *)0x4002801c)

// How often lwIP looks at its timers, in ms: a power of 2, as ports/stm32/mpnetworkport.c has it.
#define LWIP_PERIOD_MS (128)

volatile uint32_t mphal_ms;
static uint32_t ticked_us;

static uint8_t stdin_ringbuf_array[BOARD_STDIN_BUFFER];
ringbuf_t stdin_ringbuf = {stdin_ringbuf_array, sizeof(stdin_ringbuf_array)};

static volatile bool work_due[MPHAL_WORK];

void mphal_init(void) {
    // The first KB, of which a null pointer finds some part, is out of reach. It holds the vectors, which the processor
    // fetches all the same. Few chips would notice; all would go astray.
    MPU_RNR = 0;
    MPU_RBAR = 0;
    MPU_RASR = MPU_RASR_XN | MPU_RASR_SIZE(9) | MPU_RASR_ENABLE;
    MPU_CTRL = MPU_CTRL_PRIVDEFENA_ENABLE;

    FPGAIO_PRESCALE = 24;
    ticked_us = FPGAIO_COUNTER;
    SHPR[CORTEX_M3_PENDSV - 4] = MPHAL_PRIORITY_PENDSV;
    SHPR[CORTEX_M3_SYSTICK - 4] = 0;
    // Each ms, at 25 MHz.
    SYST_RVR = 25000 - 1;
    SYST_CVR = 0;
    SYST_CSR = SYST_CSR_PROCESSOR_CLOCK_INTERRUPT_ENABLE;
    uart_init();
}

void mphal_work_schedule(int work) {
    work_due[work] = true;
    #if BOARD_PENDSV
    ICSR = ICSR_PENDSVSET;
    #endif
}

void mphal_work(void) {
    static void (*const run[MPHAL_WORK])(void) = {soft_timer_handler, lan9118_receive, sys_check_timeouts};
    for (int i = 0; i < MPHAL_WORK; i++) {
        if (work_due[i]) {
            work_due[i] = false;
            run[i]();
        }
    }
}

#if BOARD_PENDSV
void PendSV_Handler(void) {
    mphal_work();
}
#endif

void SysTick_Handler(void) {
    while (FPGAIO_COUNTER - ticked_us >= 1000) {
        ticked_us += 1000;
        mphal_ms++;
        uart_tick();
        if (mphal_ms == soft_timer_next) {
            mphal_work_schedule(MPHAL_SOFT_TIMER);
        }
        if (mphal_ms % LWIP_PERIOD_MS == 0) {
            mphal_work_schedule(MPHAL_LWIP);
        }
    }
}

uint32_t mphal_random(void) {
    // xorshift, stirred by the time: nothing here is secret.
    static uint32_t state = 0x12345678;
    state ^= FPGAIO_COUNTER << 7;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

void mp_hal_get_random(size_t n, uint8_t *buf) {
    for (size_t i = 0; i < n; i++) {
        buf[i] = mphal_random();
    }
}

mp_uint_t mp_hal_ticks_ms(void) {
    return mphal_ms;
}

mp_uint_t mp_hal_ticks_us(void) {
    return FPGAIO_COUNTER;
}

uint64_t mp_hal_time_ns(void) {
    return (uint64_t)mphal_ms * 1000000;
}

void mp_hal_delay_us(mp_uint_t us) {
    uint32_t start = FPGAIO_COUNTER;
    while (FPGAIO_COUNTER - start < us) {
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint32_t start = mphal_ms;
    while (mphal_ms - start < ms) {
        mp_event_wait_ms(1);
    }
}

int mp_hal_stdin_rx_chr(void) {
    for (;;) {
        int c = ringbuf_get(&stdin_ringbuf);
        if (c != -1) {
            return c;
        }
        #if !BOARD_ESP8266
        // As in mphalport.c of ports/rp2, ports/mimxrt and ports/stm32; not in ports/esp8266/esp_mphal.c.
        c = mp_os_dupterm_rx_chr();
        if (c >= 0) {
            return c;
        }
        #endif
        mp_event_wait_indefinite();
    }
}

#if BOARD_ESP8266

// As in ports/esp8266/esp_mphal.c: what can be written is asked of both slots, what can be read of neither.
uintptr_t mp_hal_stdio_poll(uintptr_t flags) {
    uintptr_t ret = 0;
    if ((flags & MP_STREAM_POLL_RD) && ringbuf_avail(&stdin_ringbuf)) {
        ret |= MP_STREAM_POLL_RD;
    }
    if (flags & MP_STREAM_POLL_WR) {
        ret |= mp_os_dupterm_poll(flags);
    }
    return ret;
}

// The UART is in slot 1 of these.
mp_uint_t mp_hal_stdout_tx_strn(const char *str, size_t len) {
    int written = mp_os_dupterm_tx_strn(str, len);
    return MAX(written, 0);
}

#else

// As in ports/rp2/mphalport.c.
uintptr_t mp_hal_stdio_poll(uintptr_t flags) {
    uintptr_t ret = flags & MP_STREAM_POLL_WR;
    if ((flags & MP_STREAM_POLL_RD) && ringbuf_avail(&stdin_ringbuf)) {
        ret |= MP_STREAM_POLL_RD;
    }
    return ret | mp_os_dupterm_poll(flags);
}

mp_uint_t mp_hal_stdout_tx_strn(const char *str, size_t len) {
    uart_write(str, len);
    int written = mp_os_dupterm_tx_strn(str, len);
    return written < 0 ? len : MIN(len, (size_t)written);
}

#endif
