# Freezes webrepl and webrepl_setup into firmware: include("path/to/this/manifest.py") in a board's manifest.
metadata(description="WebREPL server", version="1.1.0")
module("webrepl.py", opt=3)
module("webrepl_setup.py", opt=3)
