# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kill pass for a host without Python, in POSIX shell.

Private to the collection treekill.remote.
"""

from __future__ import annotations

SHELL_KILL_PASS = "echo treekill: no usable Python 3.6 or later on this host >&2; exit 69"
