// A driver for lwIP of the Ethernet chip LAN9118: SMSC's data sheet of that name.
#include <string.h>

#include "py/mphal.h"
#include "py/runtime.h"
#include "extmod/modnetwork.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "netif/ethernet.h"

#include "lan9118.h"
#include "uart.h"

#define REGISTER(offset) (*(volatile uint32_t *)(0x40200000 + (offset)))
#define RX_DATA REGISTER(0x00)
#define TX_DATA REGISTER(0x20)
#define RX_STATUS REGISTER(0x40)
#define TX_STATUS REGISTER(0x48)
#define IRQ_CFG REGISTER(0x54)
#define INT_STS REGISTER(0x58)
#define INT_EN REGISTER(0x5c)
#define FIFO_INT REGISTER(0x68)
#define RX_CFG REGISTER(0x6c)
#define TX_CFG REGISTER(0x70)
#define HW_CFG REGISTER(0x74)
#define RX_FIFO_INF REGISTER(0x7c)
#define TX_FIFO_INF REGISTER(0x80)
#define MAC_CSR_CMD REGISTER(0xa4)
#define MAC_CSR_DATA REGISTER(0xa8)

#define ALL_INTERRUPTS (0xffffffff)
#define INT_RX_STATUS_LEVEL (1 << 3)
#define IRQ_CFG_ENABLED_ACTIVE_HIGH_PUSH_PULL (0x111)
#define RX_STATUS_ERROR (1 << 15)
#define TX_CFG_ON (1 << 1)
#define TX_COMMAND_FIRST_AND_LAST (3 << 12)
#define HW_CFG_SOFT_RESET (1 << 0)
#define HW_CFG_TX_FIFO_5_KB (5 << 16)
#define MAC_CSR_BUSY (1u << 31)
#define MAC_CR (1)
#define MAC_CR_FULL_DUPLEX_TX_RX ((1 << 20) | (1 << 3) | (1 << 2))
#define MAC_ADDRH (2)
#define MAC_ADDRL (3)
#define FRAME (1518)
#define CHECKSUM (4)

struct netif lan9118_netif;
lan9118_counts_t lan9118_counts;

static const uint8_t lan9118_mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

static void lan9118_mac_write(uint32_t reg, uint32_t value) {
    MAC_CSR_DATA = value;
    MAC_CSR_CMD = MAC_CSR_BUSY | reg;
    while (MAC_CSR_CMD & MAC_CSR_BUSY) {
    }
}

static err_t lan9118_send(struct netif *netif, struct pbuf *p) {
    static uint32_t frame[(FRAME + 3) / 4];
    size_t len = p->tot_len;
    // The FIFO wants two words for the commands.
    if (len > FRAME || (TX_FIFO_INF & 0xffff) < len + 16) {
        lan9118_counts.no_room++;
        return ERR_BUF;
    }
    pbuf_copy_partial(p, frame, len, 0);
    TX_DATA = TX_COMMAND_FIRST_AND_LAST | len;
    TX_DATA = len;
    for (size_t i = 0; i < (len + 3) / 4; i++) {
        TX_DATA = frame[i];
    }
    // Nobody asks for these, but they must not fill up.
    while ((TX_FIFO_INF >> 16) & 0xff) {
        (void)TX_STATUS;
    }
    lan9118_counts.sent++;
    return ERR_OK;
}

static void lan9118_receive_frame(void) {
    uint32_t status = RX_STATUS;
    size_t len = (status >> 16) & 0x3fff;
    size_t words = (len + 3) / 4;
    struct pbuf *p = NULL;
    if ((status & RX_STATUS_ERROR) || len <= CHECKSUM) {
        lan9118_counts.bad++;
    } else if ((p = pbuf_alloc(PBUF_RAW, words * 4, PBUF_POOL)) == NULL) {
        lan9118_counts.no_memory++;
    }
    // Read in any case, to be rid of it.
    for (size_t i = 0; i < words; i++) {
        uint32_t word = RX_DATA;
        if (p) {
            pbuf_take_at(p, &word, 4, 4 * i);
        }
    }
    if (p) {
        lan9118_counts.received++;
        pbuf_realloc(p, len - CHECKSUM);
        if (lan9118_netif.input(p, &lan9118_netif) != ERR_OK) {
            pbuf_free(p);
        }
    }
}

void lan9118_receive(void) {
    // Before the FIFO is looked at: a frame that came in between would have no interrupt, and wait for the next one's.
    INT_STS = ALL_INTERRUPTS;
    while ((RX_FIFO_INF >> 16) & 0xff) {
        lan9118_receive_frame();
    }
    INT_EN = INT_RX_STATUS_LEVEL;
}

void ETHERNET_Handler(void) {
    // Until what has come is read.
    INT_EN = 0;
    mphal_work_schedule(MPHAL_ETHERNET);
}

static err_t lan9118_netif_init(struct netif *netif) {
    netif->linkoutput = lan9118_send;
    netif->output = etharp_output;
    netif->mtu = 1500;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP;
    netif->hwaddr_len = sizeof(lan9118_mac);
    memcpy(netif->hwaddr, lan9118_mac, sizeof(lan9118_mac));
    return ERR_OK;
}

void lan9118_init(void) {
    HW_CFG = HW_CFG_SOFT_RESET;
    while (HW_CFG & HW_CFG_SOFT_RESET) {
    }
    HW_CFG = HW_CFG_TX_FIFO_5_KB;
    lan9118_mac_write(MAC_ADDRH, lan9118_mac[5] << 8 | lan9118_mac[4]);
    lan9118_mac_write(MAC_ADDRL,
        (uint32_t)lan9118_mac[3] << 24 | lan9118_mac[2] << 16 | lan9118_mac[1] << 8 | lan9118_mac[0]);
    FIFO_INT = 0;
    RX_CFG = 0;
    TX_CFG = TX_CFG_ON;
    lan9118_mac_write(MAC_CR, MAC_CR_FULL_DUPLEX_TX_RX);
    INT_STS = ALL_INTERRUPTS;
    IRQ_CFG = IRQ_CFG_ENABLED_ACTIVE_HIGH_PUSH_PULL;
    INT_EN = INT_RX_STATUS_LEVEL;

    // The addresses of QEMU's network, where DHCP would only give out the same.
    ip_addr_t address, mask, gateway, dns;
    IP4_ADDR(&address, 10, 0, 2, 15);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    IP4_ADDR(&gateway, 10, 0, 2, 2);
    IP4_ADDR(&dns, 10, 0, 2, 3);
    netif_add(&lan9118_netif, &address, &mask, &gateway, NULL, lan9118_netif_init, ethernet_input);
    netif_set_hostname(&lan9118_netif, mod_network_hostname_data);
    netif_set_default(&lan9118_netif);
    netif_set_up(&lan9118_netif);
    netif_set_link_up(&lan9118_netif);
    dns_setserver(0, &dns);
    cortex_m3_enable(MPHAL_ETHERNET_IRQ, MPHAL_PRIORITY_ETHERNET);
}

u32_t sys_now(void) {
    return mp_hal_ticks_ms();
}

// What lwIP finds wrong is said, and it goes on, as it does on a chip without a word.
void lan9118_assert_failed(const char *message, const char *file, int line) {
    // modlwip.c brings this about each time that it closes a listening socket.
    static const char known[] = "invalid socket state for ";
    if (strncmp(message, known, sizeof(known) - 1) == 0) {
        return;
    }
    mp_printf(&uart_print, "\r\n*** lwIP: %s, %s:%d\r\n", message, file, line);
}
