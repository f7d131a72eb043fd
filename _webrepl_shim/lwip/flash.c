// The flash: a littlefs in memory that the host shares. What the board writes is in the host's folder once it is synced.
#include <string.h>

#include "py/mphal.h"
#include "py/runtime.h"
#include "extmod/vfs.h"
#include "extmod/vfs_lfs.h"

#include "flash.h"
#include "host.h"

#define FLASH_BLOCK (4096)

static bool flash_dirty;

extern const mp_obj_type_t flash_type;
static const mp_obj_base_t flash_obj = {&flash_type};

static uint8_t *flash_at(size_t n_args, const mp_obj_t *args) {
    return HOST_MEMORY + mp_obj_get_int(args[1]) * FLASH_BLOCK + (n_args > 3 ? mp_obj_get_int(args[3]) : 0);
}

static mp_obj_t flash_readblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t bufinfo;
    mp_get_buffer_raise(args[2], &bufinfo, MP_BUFFER_WRITE);
    memcpy(bufinfo.buf, flash_at(n_args, args), bufinfo.len);
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(flash_readblocks_obj, 3, 4, flash_readblocks);

static mp_obj_t flash_writeblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t bufinfo;
    mp_get_buffer_raise(args[2], &bufinfo, MP_BUFFER_READ);
    memcpy(flash_at(n_args, args), bufinfo.buf, bufinfo.len);
    flash_dirty = true;
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(flash_writeblocks_obj, 3, 4, flash_writeblocks);

static void flash_sync(void) {
    if (flash_dirty) {
        flash_dirty = false;
        if (host_run(HOST_CONFIG->unpack) != 0) {
            host_write("\r\n*** The host could not take the board's files\r\n");
            host_fail();
        }
    }
}

static mp_obj_t flash_ioctl(mp_obj_t self_in, mp_obj_t op_in, mp_obj_t arg_in) {
    switch (mp_obj_get_int(op_in)) {
        case MP_BLOCKDEV_IOCTL_SYNC:
            flash_sync();
            return MP_OBJ_NEW_SMALL_INT(0);
        case MP_BLOCKDEV_IOCTL_BLOCK_COUNT:
            return MP_OBJ_NEW_SMALL_INT(HOST_CONFIG->flash / FLASH_BLOCK);
        case MP_BLOCKDEV_IOCTL_BLOCK_SIZE:
            return MP_OBJ_NEW_SMALL_INT(FLASH_BLOCK);
        case MP_BLOCKDEV_IOCTL_BLOCK_ERASE:
            memset(HOST_MEMORY + mp_obj_get_int(arg_in) * FLASH_BLOCK, 0xff, FLASH_BLOCK);
            flash_dirty = true;
            return MP_OBJ_NEW_SMALL_INT(0);
        default:
            return MP_OBJ_NEW_SMALL_INT(0);
    }
}
static MP_DEFINE_CONST_FUN_OBJ_3(flash_ioctl_obj, flash_ioctl);

static const mp_rom_map_elem_t flash_locals_dict_table[] = {
    { MP_ROM_QSTR(MP_QSTR_readblocks), MP_ROM_PTR(&flash_readblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_writeblocks), MP_ROM_PTR(&flash_writeblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&flash_ioctl_obj) },
};
static MP_DEFINE_CONST_DICT(flash_locals_dict, flash_locals_dict_table);

MP_DEFINE_CONST_OBJ_TYPE(
    flash_type,
    MP_QSTR_Flash,
    MP_TYPE_FLAG_NONE,
    locals_dict, &flash_locals_dict
    );

void flash_mount(void) {
    nlr_buf_t nlr;
    if (host_run(HOST_CONFIG->pack) != 0) {
        host_write("\r\n*** The board could not take the host's files\r\n");
        host_fail();
    }
    flash_dirty = false;
    if (nlr_push(&nlr) == 0) {
        mp_obj_t device = MP_OBJ_FROM_PTR(&flash_obj);
        mp_obj_t vfs = MP_OBJ_TYPE_GET_SLOT(&mp_type_vfs_lfs2, make_new)(&mp_type_vfs_lfs2, 1, 0, &device);
        mp_vfs_mount_and_chdir_protected(vfs, MP_OBJ_NEW_QSTR(MP_QSTR__slash_));
        nlr_pop();
    } else {
        mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(nlr.ret_val));
    }
}
