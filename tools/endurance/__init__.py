# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Thousands of interruptions of many runs on real hosts, at random moments.

`draw` chooses what a round has. `work` is what its runs do. `triggers` are what befalls them.
`rounds` plays one round. `judge` says what is wrong after it.
"""
