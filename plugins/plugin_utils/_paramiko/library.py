# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The library paramiko. Only hosts with the connection plugin paramiko_ssh need it.

Without the library, the connection fails with an error of the plugin. Documentation and all other
parts of the collection work without it.
"""

from __future__ import annotations

__all__ = ["missing", "paramiko"]

#: Why the library can't be imported; None if it can.
missing: ImportError | None = None

try:
    import paramiko
except ImportError as error:
    missing, paramiko = error, None
