# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The library paramiko, which only hosts with the connection plugin paramiko_ssh need.

This file is private to the collection treekill.remote.

Its absence is an error of the connection, told by the plugin: documentation and everything else of the collection work without it.
"""

from __future__ import annotations

__all__ = ["missing", "paramiko"]

#: Why the library can't be had; None where it can.
missing: ImportError | None = None

try:
    import paramiko
except ImportError as error:
    missing, paramiko = error, None
