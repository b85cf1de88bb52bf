"""Where memory and ring kernels live: ``driver`` says what a driver is, ``host`` is the CPU's.

``select.choose`` picks one for a device name; ``nvidia`` looks for an NVIDIA driver without
loading it.
"""

from gpures_lab.drivers.driver import Driver
from gpures_lab.drivers.host import HostDriver
from gpures_lab.drivers.select import choose

__all__ = ["Driver", "HostDriver", "choose"]
