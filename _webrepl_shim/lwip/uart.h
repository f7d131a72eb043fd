// The serial console.
#ifndef BOARD_UART_H
#define BOARD_UART_H

#include <stddef.h>

#include "py/mpprint.h"
#include "py/obj.h"

void uart_init(void);
// To be called each ms.
void uart_tick(void);
void uart_write(const char *str, size_t len);
// For what is to reach this console alone, from an interrupt too.
extern const mp_print_t uart_print;

// machine.UART, which only the ESP8266's board has.
extern const mp_obj_type_t uart_type;
void uart_attach(int difference);

#endif
