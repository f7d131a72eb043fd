# The virtual board's network: a station that is always connected and an access point that is off, or a cable.
# MIT license

import _board

STA_IF = 0
AP_IF = 1

if _board.wlan():

    class WLAN:
        """One interface of the virtual board: https://docs.micropython.org/en/latest/library/network.WLAN.html"""

        IF_STA = STA_IF
        IF_AP = AP_IF

        def __init__(self, interface=STA_IF):
            self._interface = interface

        def active(self, is_active=None):
            return self._interface == STA_IF

        def isconnected(self):
            return self._interface == STA_IF

        def ifconfig(self):
            if self._interface == STA_IF:
                return (_board.host(), "255.0.0.0", "0.0.0.0", "0.0.0.0")
            return ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")


if _board.lan():

    class LAN:
        """The cable. Each LAN() re-initialises the interface on mimxrt and STM32, so how many there were is counted."""

        made = 0

        def __init__(self, *args, **kwargs):
            LAN.made += 1

        def active(self, is_active=None):
            return True

        def isconnected(self):
            return True

        def ifconfig(self):
            return (_board.host(), "255.0.0.0", "0.0.0.0", "0.0.0.0")
