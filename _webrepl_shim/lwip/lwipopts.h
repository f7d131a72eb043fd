// lwIP's options: those that MicroPython's ports have in common, and those of this port.
#ifndef BOARD_LWIPOPTS_H
#define BOARD_LWIPOPTS_H

#include <stdint.h>

// As ports/rp2 and ports/stm32 have them.
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_LOOPIF_MULTICAST 1
#define LWIP_LOOPBACK_MAX_PBUFS 8
#define LWIP_IPV6 0
#define LWIP_RAND() mphal_random()
uint32_t mphal_random(void);

#include "extmod/lwip-include/lwipopts_common.h"

#if BOARD_ESP8266
#include "esp8266_lwipopts.h"
#endif

// A responder to mDNS would need its part of the interface; nothing here asks for one.
#undef LWIP_MDNS_RESPONDER
#define LWIP_MDNS_RESPONDER 0

// For network.LAN().stats(), which no board has.
#undef LWIP_STATS
#define LWIP_STATS 1
#define MEMP_STATS 1
#define MEM_STATS 1

#endif
