# The virtual board's start: `micropython -m board` in the folder that is its flash.
# MIT license

import sys

import _board
import vfs

vfs.umount("/")
vfs.mount(vfs.VfsPosix(_board.root()), "/")
sys.path[:] = ["", ".frozen", "/lib"]
sys.argv.clear()
del sys.modules["board"]
_board.run()
