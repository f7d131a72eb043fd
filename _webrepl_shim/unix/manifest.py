# What the virtual board freezes: the project, and what a board's firmware has that the unix port lacks.
include("../../manifest.py")
include("$(MPY_DIR)/extmod/asyncio")
freeze(".", ("board.py", "machine.py", "network.py"), opt=3)
