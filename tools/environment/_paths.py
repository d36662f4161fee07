# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths of the repository, and of what is made in it. Nothing is made outside of it."""

from __future__ import annotations

from pathlib import Path

NAMESPACE = "treekill"
NAME = "remote"

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "tests" / "requirements"

VENVS = ROOT / ".venv"
CACHE = ROOT / ".cache"

#: Below a directory named ansible_collections, Python and Ansible find this very tree, not a copy
#: of it.
IN_COLLECTIONS = Path("ansible_collections") / NAMESPACE / NAME
IMPORTABLE = CACHE / "importable"

#: Content-addressed: a folder for each state of the tree, with a copy of it, the tarball and what
#: was installed from that.
SNAPSHOTS = CACHE / "snapshots"

#: The documentation site that `make docs` leaves.
SITE = CACHE / "docsite"

#: Home directory for programs that write there, and for no others.
HOME = CACHE / "home"

EMPTY_ANSIBLE_CFG = CACHE / "ansible.cfg"
