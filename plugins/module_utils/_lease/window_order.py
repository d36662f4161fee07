# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The kill order that reaches a host as the size of a terminal, in pixels.

An ssh client tells its server each new size of its terminal, over the connection that is open. The
server sets that size on the terminal of the command. The pixels are the 32 bits of the lease's id.
Programs use rows and columns, and these stay. So a program that is left to finish is not confused.
"""


def ordered_size(lease: str, present: bytes) -> bytes:
    """Return the size that orders the end of the lease.

    lease: its id, 8 hexadecimal digits.
    present: the size that the terminal has, as a `struct winsize`: see ioctl_tty(2). The returned
        one has the same form.
    """
    size = memoryview(bytearray(present)).cast("H")
    size[2], size[3] = int(lease[:4], 16), int(lease[4:], 16)
    return size.tobytes()


def lease_in(size: bytes) -> str:
    """Return the id of the lease whose end this size orders.

    It may be no lease at all. A size without pixels orders nothing: return an empty text.
    """
    pixels = tuple(memoryview(size).cast("H"))[2:]
    return "%04x%04x" % pixels if any(pixels) else ""
