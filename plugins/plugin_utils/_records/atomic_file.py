# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Atomic writing of a file for its owner alone: the file is complete, or unchanged."""

from __future__ import annotations

import contextlib
import os
import tempfile


def replace(path: str, content: bytes, wait_for_disk: bool = True) -> None:
    """Write the file with mode 0600, in place of an existing one.

    Args:
        path: of the file. Its directory exists.
        content: of the whole file.
        wait_for_disk: whether the content must be on the disk before it gets the name. Then a power
            failure leaves the old file or the new one.

    Raises:
        OSError: it could not be written. The old file is unchanged, and there is no other file
            beside it.
    """
    # mkstemp: O_EXCL and mode 0600, under a name that can't be predicted.
    descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".new", dir=os.path.dirname(path))
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if wait_for_disk:
                os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
