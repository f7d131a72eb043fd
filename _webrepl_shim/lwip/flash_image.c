// flash_image pack|unpack IMAGE BYTES FOLDER: the flash of the emulated board, and the host's folder. For the host.
//
// IMAGE holds two littlefs of that many bytes, one behind the other: the board's own, and a copy of it as it was last.
// pack makes both of the folder; unpack puts into the folder in what they differ, and makes them the same. So what the
// host has written meanwhile stays, and is on the board when it starts the next time.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lfs2.h"

#define BLOCK (4096)

static int flash_image_read(const struct lfs2_config *c, lfs2_block_t block, lfs2_off_t at, void *buf, lfs2_size_t n) {
    memcpy(buf, (uint8_t *)c->context + block * BLOCK + at, n);
    return 0;
}

static int flash_image_prog(
    const struct lfs2_config *c, lfs2_block_t block, lfs2_off_t at, const void *buf, lfs2_size_t n) {
    memcpy((uint8_t *)c->context + block * BLOCK + at, buf, n);
    return 0;
}

static int flash_image_erase(const struct lfs2_config *c, lfs2_block_t block) {
    memset((uint8_t *)c->context + block * BLOCK, 0xff, BLOCK);
    return 0;
}

static int flash_image_sync(const struct lfs2_config *c) {
    return 0;
}

// The sizes are those of extmod/vfs_lfs.c.
#define CONFIG(memory, size) { \
        .context = memory, .read = flash_image_read, .prog = flash_image_prog, .erase = flash_image_erase, \
        .sync = flash_image_sync, .read_size = 32, .prog_size = 32, .block_size = BLOCK, .block_count = (size) / BLOCK, \
        .block_cycles = 100, .cache_size = 128, .lookahead_size = 32, \
}

static int check(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "flash_image: %s: %d\n", what, result);
        exit(1);
    }
    return result;
}

static int check_host(int result, const char *path) {
    if (result < 0) {
        perror(path);
        exit(1);
    }
    return result;
}

static char *join(const char *folder, const char *name) {
    char *path;
    check(asprintf(&path, "%s/%s", folder, name), name);
    return path;
}

// Return the content of a file, or NULL if there is no such file.
static char *load(lfs2_t *lfs, const char *path, lfs2_soff_t *size) {
    lfs2_file_t file;
    if (lfs2_file_open(lfs, &file, path, LFS2_O_RDONLY) < 0) {
        return NULL;
    }
    *size = check(lfs2_file_size(lfs, &file), path);
    char *data = malloc(*size + 1);
    check(lfs2_file_read(lfs, &file, data, *size), path);
    check(lfs2_file_close(lfs, &file), path);
    return data;
}

static void pack_file(lfs2_t *lfs, const char *host, const char *path) {
    lfs2_file_t file;
    char data[BLOCK];
    int fd = check_host(open(host, O_RDONLY), host);
    check(lfs2_file_open(lfs, &file, path, LFS2_O_WRONLY | LFS2_O_CREAT), path);
    for (ssize_t n; (n = check_host(read(fd, data, sizeof(data)), host)) > 0;) {
        check(lfs2_file_write(lfs, &file, data, n), path);
    }
    check(lfs2_file_close(lfs, &file), path);
    close(fd);
}

static void pack(lfs2_t *lfs, const char *host_folder, const char *folder) {
    DIR *dir = opendir(host_folder);
    check_host(dir ? 0 : -1, host_folder);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct stat st;
        char *host = join(host_folder, entry->d_name), *path = join(folder, entry->d_name);
        // A name with a dot is no board's.
        if (entry->d_name[0] != '.' && stat(host, &st) == 0) {
            if (S_ISDIR(st.st_mode)) {
                check(lfs2_mkdir(lfs, path), path);
                pack(lfs, host, path);
            } else if (S_ISREG(st.st_mode)) {
                pack_file(lfs, host, path);
            }
        }
        free(host);
        free(path);
    }
    closedir(dir);
}

static void unpack_file(lfs2_t *new, lfs2_t *old, const char *host, const char *path) {
    lfs2_soff_t size, old_size;
    char *data = load(new, path, &size), *old_data = load(old, path, &old_size);
    if (old_data == NULL || size != old_size || memcmp(data, old_data, size) != 0) {
        int fd = check_host(open(host, O_WRONLY | O_CREAT | O_TRUNC, 0666), host);
        check_host(write(fd, data, size) == size ? 0 : -1, host);
        close(fd);
    }
    free(old_data);
    free(data);
}

// Put what is new or changed into the host's folder.
static void unpack(lfs2_t *new, lfs2_t *old, const char *host_folder, const char *folder) {
    lfs2_dir_t dir;
    struct lfs2_info info;
    check(lfs2_dir_open(new, &dir, folder), folder);
    while (check(lfs2_dir_read(new, &dir, &info), folder) > 0) {
        char *host = join(host_folder, info.name), *path = join(folder, info.name);
        if (info.type == LFS2_TYPE_REG) {
            unpack_file(new, old, host, path);
        } else if (strcmp(info.name, ".") != 0 && strcmp(info.name, "..") != 0) {
            check_host(mkdir(host, 0777) < 0 && errno != EEXIST ? -1 : 0, host);
            unpack(new, old, host, path);
        }
        free(host);
        free(path);
    }
    check(lfs2_dir_close(new, &dir), folder);
}

// Remove what is no longer there from the host's folder.
static void unpack_removed(lfs2_t *new, lfs2_t *old, const char *host_folder, const char *folder) {
    lfs2_dir_t dir;
    struct lfs2_info info, new_info;
    check(lfs2_dir_open(old, &dir, folder), folder);
    while (check(lfs2_dir_read(old, &dir, &info), folder) > 0) {
        char *host = join(host_folder, info.name), *path = join(folder, info.name);
        if (strcmp(info.name, ".") != 0 && strcmp(info.name, "..") != 0) {
            if (info.type == LFS2_TYPE_DIR) {
                unpack_removed(new, old, host, path);
            }
            if (lfs2_stat(new, path, &new_info) < 0) {
                // Or the host has removed it already, or put something into it.
                remove(host);
            }
        }
        free(host);
        free(path);
    }
    check(lfs2_dir_close(old, &dir), folder);
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: flash_image pack|unpack IMAGE BYTES FOLDER\n");
        return 2;
    }
    const char *folder = argv[4];
    size_t size = strtoul(argv[3], NULL, 10);
    int fd = check_host(open(argv[2], O_RDWR), argv[2]);
    uint8_t *image = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check_host(image == MAP_FAILED ? -1 : 0, argv[2]);
    struct lfs2_config config = CONFIG(image, size), old_config = CONFIG(image + size, size);
    lfs2_t lfs, old;
    if (strcmp(argv[1], "pack") == 0) {
        check(lfs2_format(&lfs, &config), "format");
        check(lfs2_mount(&lfs, &config), "mount");
        pack(&lfs, folder, "/");
    } else {
        check(lfs2_mount(&lfs, &config), "mount");
        check(lfs2_mount(&old, &old_config), "mount");
        unpack_removed(&lfs, &old, folder, "/");
        unpack(&lfs, &old, folder, "/");
    }
    memcpy(image + size, image, size);
    return 0;
}
