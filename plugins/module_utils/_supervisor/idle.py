# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The idle supervisor: when its module takes long, it gives memory back."""

from ansible_collections.treekill.remote.plugins.module_utils._supervisor.libc import call

#: See madvise(2).
MADV_DONTNEED = 4


def keep_at_hand() -> None:
    """Load what the end of the tree needs from the disk.

    The task may replace the files of this Python, or use up all descriptors.
    """
    try:
        import _socket  # noqa: F401
        import zlib  # noqa: F401
    except ImportError:
        pass  # then there is no report, and the tree is ended with less


def give_back_code() -> None:
    """Let the kernel take back the pages of the interpreter's code and constants.

    Those that are needed again are mapped again: the file is in memory. A page that differs from
    the file would be lost, so what has such a page stays.
    """
    import _ctypes

    # what ctypes calls c_void_p
    pointer = type("pointer", (_ctypes._SimpleCData,), {"_type_": "P"})
    place = b""
    try:
        with open("/proc/self/smaps", "rb") as maps:
            for line in maps:
                words = line.split()
                if b"-" in words[0]:
                    place = words[0] if b"/" in line and words[1] in (b"r-xp", b"r--p") else b""
                elif place and words[:2] == [b"Anonymous:", b"0"]:
                    start, end = (int(address, 16) for address in place.split(b"-"))
                    call("madvise", pointer(start), pointer(end - start), MADV_DONTNEED)
    except OSError:
        pass  # then it takes two megabytes more
