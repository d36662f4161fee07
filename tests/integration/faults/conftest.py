# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab of the tests here."""

from tests.support.labs.clean_lab import lab, shared_lab, web1, web2

__all__ = ("lab", "shared_lab", "web1", "web2")
