# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throw-away real hosts on one Linux machine, for pytest, molecule and the command line.

`with Lab.up(count=2) as lab: lab["web1"].ssh("id")`, or
`python -m tests.support.hosts up --count 2 --lab NAME`.
"""

from __future__ import annotations

from .accounts import ACCOUNTS, ANSIBLE, LIMITED, OTHER, PASSWORD, ROOT, SECRET, Account
from .errors import (
    HostIsOff,
    HostsError,
    KindUnavailable,
    NoSuchHost,
    NoSuchLab,
    NotPossibleHere,
    PackagesMissing,
)
from .host import Host
from .lab import Lab, labs
from .processes import HostProcess, ProcessId

__all__ = [
    "ACCOUNTS",
    "ANSIBLE",
    "LIMITED",
    "OTHER",
    "PASSWORD",
    "ROOT",
    "SECRET",
    "Account",
    "Host",
    "HostIsOff",
    "HostProcess",
    "HostsError",
    "KindUnavailable",
    "Lab",
    "NoSuchHost",
    "NoSuchLab",
    "NotPossibleHere",
    "PackagesMissing",
    "ProcessId",
    "labs",
]
