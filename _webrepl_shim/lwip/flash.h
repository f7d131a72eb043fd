// The flash.
#ifndef BOARD_FLASH_H
#define BOARD_FLASH_H

// Mount it as /, with the files that the host's folder has now.
void flash_mount(void);

#endif
