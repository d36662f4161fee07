# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file that is there whole or not at all, for its owner alone."""

from __future__ import annotations

import contextlib
import os
import tempfile


def replace(path: str, content: bytes, wait_for_disk: bool = True) -> None:
    """Write the file anew, mode 0600, in place of the one that may be there.

    Args:
        path: of the file; its directory is there.
        content: of it, whole.
        wait_for_disk: whether the content is to be on the disk before it has the name, so that a power failure leaves one of both.

    Raises:
        OSError: it could not be written. What was there before is there still, and nothing beside it.
    """
    # mkstemp: O_EXCL and mode 0600, under a name that nobody knows beforehand.
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
