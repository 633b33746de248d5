"""The allocator's setting, seen through the allocator's own count of mapped blocks."""

import subprocess
import sys

import pytest

_PROGRAM = """
import ctypes
from ockam_ref.asyncio import keep_freed_buffers

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]

mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)
keep_freed_buffers() if mallinfo is None else None
if mallinfo is None:
    print("no glibc")
else:
    mallinfo.restype = Info
    def mapped_by_a_large_block():
        before = mallinfo().hblks
        block = bytes(8 * 1024 * 1024)
        return mallinfo().hblks - before
    default = mapped_by_a_large_block()
    keep_freed_buffers()
    print(default, mapped_by_a_large_block())
"""


@pytest.mark.spec("HOST-23")
def test_large_buffers_are_no_longer_mapped_anew() -> None:
    run = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert run.stdout.strip() in {"1 0", "no glibc"}
