// What the ESP8266's stack has less of: include/lwipopts.h of pfalcon/esp-open-lwip, which its firmware is linked with.
// It reads some of its numbers from registers that the SDK fills in; those are the SDK's defaults.
#undef TCP_MSS
#define TCP_MSS 536
#undef TCP_WND
#define TCP_WND (4 * TCP_MSS)
#undef TCP_SND_BUF
#define TCP_SND_BUF (2 * TCP_MSS)
#define TCP_SND_QUEUELEN ((4 * TCP_SND_BUF + TCP_MSS - 1) / TCP_MSS)
#undef MEMP_NUM_TCP_SEG
#define MEMP_NUM_TCP_SEG 16
#define MEMP_NUM_TCP_PCB 5
#define MEMP_NUM_TCP_PCB_LISTEN 2
#define PBUF_POOL_SIZE 10
#undef TCP_LISTEN_BACKLOG
#define TCP_LISTEN_BACKLOG 0
