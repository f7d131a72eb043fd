# What the emulated board freezes: the project.
include("../../manifest.py")
include("$(MPY_DIR)/extmod/asyncio")
