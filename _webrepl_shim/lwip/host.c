// What the board asks of the host, by semihosting: Arm's "Semihosting for AArch32 and AArch64".
#include <string.h>

#include "host.h"

#define SYS_WRITE0 (0x04)
#define SYS_SYSTEM (0x12)
#define SYS_EXIT (0x18)
#define ADP_STOPPED_RUN_TIME_ERROR (0x20023)

static int host_call(int operation, const void *argument) {
    register int r0 __asm__ ("r0") = operation;
    register const void *r1 __asm__ ("r1") = argument;
    __asm__ __volatile__ ("bkpt 0xab" : "+r" (r0) : "r" (r1) : "memory");
    return r0;
}

int host_run(const char *command) {
    const void *arguments[] = {command, (const void *)strlen(command)};
    return host_call(SYS_SYSTEM, arguments);
}

void host_write(const char *str) {
    host_call(SYS_WRITE0, str);
}

void host_fail(void) {
    for (;;) {
        host_call(SYS_EXIT, (const void *)ADP_STOPPED_RUN_TIME_ERROR);
    }
}
