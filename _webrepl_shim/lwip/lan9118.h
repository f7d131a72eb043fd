// The network interface.
#ifndef BOARD_LAN9118_H
#define BOARD_LAN9118_H

#include "lwip/netif.h"

extern struct netif lan9118_netif;

// Frames since the start.
typedef struct {
    uint32_t received, bad, no_memory, sent, no_room;
} lan9118_counts_t;
extern lan9118_counts_t lan9118_counts;

void lan9118_init(void);
// Give lwIP the frames that have come.
void lan9118_receive(void);

#endif
