# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The attributes that all modules of the collection document."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode) and return a status prediction without changing the
      target.
  diff_mode:
    description: Returns details on what has changed, or would change in C(check_mode), when in diff
      mode.
  platform:
    description: Target systems that the module works on.
"""
