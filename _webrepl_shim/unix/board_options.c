// How the board behaves: by its build (see mpconfigvariant.h), then by the environment.

#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "py/mpconfig.h"

static bool option_is(const char *name, const char *value) {
    const char *is = getenv(name);
    return is != NULL && strcmp(is, value) == 0;
}

static int option_int(const char *name, int otherwise) {
    const char *is = getenv(name);
    return is != NULL && *is != '\0' ? atoi(is) : otherwise;
}

bool board_option_edge(void) {
    return BOARD_CHIP != BOARD_ESP32 || option_is("BOARD_EVENTS", "edge");
}

bool board_option_dupterm_direct(void) {
    if (BOARD_CHIP != BOARD_ESP32) {
        return BOARD_CHIP == BOARD_STM32;
    }
    return board_option_edge() ? option_is("BOARD_DUPTERM", "direct") : !option_is("BOARD_DUPTERM", "notify");
}

bool board_option_sweep_first(void) {
    return BOARD_CHIP == BOARD_ESP8266 || !board_option_edge();
}

board_timer_kind_t board_option_timer(void) {
    if (board_option_edge() || option_is("BOARD_TIMER", "virtual")) {
        return BOARD_TIMER_VIRTUAL;
    }
    return option_is("BOARD_TIMER", "hardware") ? BOARD_TIMER_HARDWARE : BOARD_TIMER_NONE;
}

int board_option_tick_us(void) {
    // FreeRTOS' ticks are 10 ms in the ESP32's firmware. 0 is for tests that measure something else.
    int ms = option_int("BOARD_TICK_MS", 10);
    return ms > 0 ? ms * 1000 : 100;
}

int board_option_sndbuf(void) {
    return option_int("BOARD_SNDBUF", 5760);
}

const char *board_option_host(void) {
    const char *host = getenv("BOARD_HOST");
    return host != NULL && *host != '\0' ? host : "127.0.0.1";
}

bool board_option_wlan(void) {
    return BOARD_CHIP != BOARD_STM32;
}

bool board_option_lan(void) {
    return BOARD_CHIP == BOARD_STM32 || option_int("BOARD_LAN", 0) != 0;
}
