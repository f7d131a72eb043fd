// What the program that boots the board tells it, and what the board asks of it.
#ifndef BOARD_HOST_H
#define BOARD_HOST_H

#include <stdint.h>

// The machine's PSRAM is a file of the host: see board.py, which fills in the last page.
#define HOST_MEMORY ((uint8_t *)0x21000000)
#define HOST_MAGIC (0x31445242)

typedef struct {
    uint32_t magic;
    uint32_t heap;          // bytes, or 0 for the board's own size
    uint32_t flash;         // bytes of the file system
    char pack[1000];        // the command that makes the file system of the host's folder
    char unpack[1000];      // the one that puts into the folder what has changed in the file system
    char symbols[1000];     // the one that names the functions at the addresses that follow
} host_config_t;
#define HOST_CONFIG ((const host_config_t *)(HOST_MEMORY + 0xfff000))

// Have the host run a command; returns its exit status.
int host_run(const char *command);
// Write on the host's console, whatever state the board is in.
void host_write(const char *str);
// End the emulation as failed.
void host_fail(void) __attribute__((noreturn));

#endif
