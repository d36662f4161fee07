# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How hypothesis works here: as long as a busy machine needs, and leaving no files behind."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("here", deadline=None, database=None)
settings.load_profile("here")
