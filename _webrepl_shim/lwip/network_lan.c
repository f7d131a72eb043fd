// network.LAN: the interface is up from the start, and stays so.
#include "py/runtime.h"
#include "py/mphal.h"
#include "extmod/modnetwork.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/stats.h"

#include "lan9118.h"

static const mp_obj_base_t network_lan_obj = {&network_lan_type};

static mp_obj_t network_lan_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 1, false);
    mod_network_register_nic(MP_OBJ_FROM_PTR(&network_lan_obj));
    return MP_OBJ_FROM_PTR(&network_lan_obj);
}

static mp_obj_t network_lan_active(size_t n_args, const mp_obj_t *args) {
    return mp_const_true;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(network_lan_active_obj, 1, 2, network_lan_active);

static mp_obj_t network_lan_isconnected(mp_obj_t self_in) {
    return mp_const_true;
}
static MP_DEFINE_CONST_FUN_OBJ_1(network_lan_isconnected_obj, network_lan_isconnected);

static mp_obj_t network_lan_ifconfig(size_t n_args, const mp_obj_t *args) {
    return mod_network_nic_ifconfig(&lan9118_netif, n_args - 1, args + 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(network_lan_ifconfig_obj, 1, 2, network_lan_ifconfig);

static mp_obj_t network_lan_ipconfig(size_t n_args, const mp_obj_t *args, mp_map_t *kwargs) {
    return mod_network_nic_ipconfig(&lan9118_netif, n_args - 1, args + 1, kwargs);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(network_lan_ipconfig_obj, 1, network_lan_ipconfig);

static mp_obj_t network_lan_numbers(size_t n, const uint32_t *numbers) {
    mp_obj_tuple_t *tuple = MP_OBJ_TO_PTR(mp_obj_new_tuple(n, NULL));
    for (size_t i = 0; i < n; i++) {
        tuple->items[i] = mp_obj_new_int_from_uint(numbers[i]);
    }
    return MP_OBJ_FROM_PTR(tuple);
}

static uint32_t network_lan_pcbs(const struct tcp_pcb *pcb) {
    uint32_t n = 0;
    for (; pcb; pcb = pcb->next) {
        n++;
    }
    return n;
}

static mp_obj_t network_lan_memory(const struct stats_mem *memory) {
    uint32_t numbers[] = {memory->used, memory->max, memory->err};
    return network_lan_numbers(3, numbers);
}

// For tests, and on no other board:
// (frames received, bad, without memory, sent, without room), (active, time-wait, listening PCBs),
// {kind of memory: (in use, most in use, refused)}.
static mp_obj_t network_lan_stats(mp_obj_t self_in) {
    MICROPY_PY_PENDSV_ENTER
    lan9118_counts_t frames = lan9118_counts;
    uint32_t pcbs[] = {
        network_lan_pcbs(tcp_active_pcbs), network_lan_pcbs(tcp_tw_pcbs), network_lan_pcbs(tcp_listen_pcbs.pcbs),
    };
    MICROPY_PY_PENDSV_EXIT

    static const struct {
        qstr name;
        memp_t pool;
    } pools[] = {
        {MP_QSTR_tcp_pcb, MEMP_TCP_PCB},
        {MP_QSTR_tcp_seg, MEMP_TCP_SEG},
        {MP_QSTR_pbuf, MEMP_PBUF},
        {MP_QSTR_pbuf_pool, MEMP_PBUF_POOL},
    };
    mp_obj_t memory = mp_obj_new_dict(0);
    for (size_t i = 0; i < MP_ARRAY_SIZE(pools); i++) {
        mp_obj_dict_store(
            memory, MP_OBJ_NEW_QSTR(pools[i].name), network_lan_memory(lwip_stats.memp[pools[i].pool]));
    }
    mp_obj_dict_store(memory, MP_OBJ_NEW_QSTR(MP_QSTR_mem), network_lan_memory(&lwip_stats.mem));

    mp_obj_t all[] = {
        network_lan_numbers(sizeof(frames) / sizeof(uint32_t), (const uint32_t *)&frames),
        network_lan_numbers(MP_ARRAY_SIZE(pcbs), pcbs),
        memory,
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(all), all);
}
static MP_DEFINE_CONST_FUN_OBJ_1(network_lan_stats_obj, network_lan_stats);

static const mp_rom_map_elem_t network_lan_locals_dict_table[] = {
    { MP_ROM_QSTR(MP_QSTR_active), MP_ROM_PTR(&network_lan_active_obj) },
    { MP_ROM_QSTR(MP_QSTR_isconnected), MP_ROM_PTR(&network_lan_isconnected_obj) },
    { MP_ROM_QSTR(MP_QSTR_ifconfig), MP_ROM_PTR(&network_lan_ifconfig_obj) },
    { MP_ROM_QSTR(MP_QSTR_ipconfig), MP_ROM_PTR(&network_lan_ipconfig_obj) },
    { MP_ROM_QSTR(MP_QSTR_stats), MP_ROM_PTR(&network_lan_stats_obj) },
};
static MP_DEFINE_CONST_DICT(network_lan_locals_dict, network_lan_locals_dict_table);

MP_DEFINE_CONST_OBJ_TYPE(
    network_lan_type,
    MP_QSTR_LAN,
    MP_TYPE_FLAG_NONE,
    make_new, network_lan_make_new,
    locals_dict, &network_lan_locals_dict
    );
