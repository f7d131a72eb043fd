// What lwIP wants to know of the compiler and the board.
#ifndef BOARD_ARCH_CC_H
#define BOARD_ARCH_CC_H

#include <stdio.h>

void lan9118_assert_failed(const char *message, const char *file, int line);

#define LWIP_PLATFORM_DIAG(message) do { printf message; } while (0)
#define LWIP_PLATFORM_ASSERT(message) lan9118_assert_failed(message, __FILE__, __LINE__)
#define LWIP_NO_CTYPE_H 1

#endif
