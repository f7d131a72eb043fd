// The flash is the folder the board was started in, and / of the board. extmod/vfs_posix.c is compiled with
// mp_obj_str_get_str and getcwd renamed to the two functions here.

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "py/obj.h"
#include "py/mperrno.h"
#include "py/runtime.h"

char board_root[PATH_MAX];

// A path with .. in it, resolved as if the flash had nothing above it.
const char *board_path_get_str(mp_obj_t path_in);
const char *board_path_get_str(mp_obj_t path_in) {
    static char resolved[2 * PATH_MAX];
    const char *path = mp_obj_str_get_str(path_in);
    if (strstr(path, "..") == NULL) {
        return path;
    }
    char cwd[PATH_MAX + 1] = "";
    if (path[0] != '/' && board_getcwd(cwd, sizeof(cwd)) != NULL) {
        memmove(cwd, cwd + strlen(board_root), strlen(cwd + strlen(board_root)) + 1);
    }
    if (strlen(cwd) + strlen(path) + 2 > sizeof(resolved)) {
        mp_raise_OSError(MP_EINVAL);
    }
    size_t len = 0;
    const char *parts[] = { cwd, path };
    for (size_t i = 0; i < MP_ARRAY_SIZE(parts); i++) {
        for (const char *p = parts[i]; *p != '\0';) {
            size_t n = strcspn(p, "/");
            if (n == 2 && memcmp(p, "..", 2) == 0) {
                while (len > 0 && resolved[--len] != '/') {
                }
            } else if (n != 0 && !(n == 1 && p[0] == '.')) {
                resolved[len++] = '/';
                memcpy(resolved + len, p, n);
                len += n;
            }
            p += n + (p[n] == '/');
        }
    }
    if (len == 0) {
        resolved[len++] = '/';
    }
    resolved[len] = '\0';
    return resolved;
}

// VfsPosix takes the root off the front of this, and would leave nothing at the top of the flash.
char *board_getcwd(char *buf, size_t size) {
    char *ret = getcwd(buf, size - 1);
    if (ret != NULL && strcmp(ret, board_root) == 0) {
        strcat(ret, "/");
    }
    return ret;
}
