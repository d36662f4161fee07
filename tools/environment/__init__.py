# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The needs of a machine that tests this collection.

They are interpreters, virtual environments, the installed tarball, and the gates. It runs with any
Python from 3.8 on and its standard library alone, as ``python3 -m tools.environment``. The Makefile
names its commands.
"""
