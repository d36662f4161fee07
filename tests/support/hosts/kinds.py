# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of hosts, and whether this machine can run each of them."""

from __future__ import annotations

import os
import shutil
import subprocess

from . import area, state
from .errors import HostsError, KindUnavailable
from .programs import ALWAYS, FOR_NAMESPACES, UNSHARE_HOST, ensure, warn

AUTO = "auto"
NAMESPACE = "namespace"
ROOTLESS = "rootless"
PLAIN = "plain"

#: Kinds that may be asked for.
CHOICES = (AUTO, NAMESPACE, ROOTLESS, PLAIN)


def choose(wanted: str) -> str:
    """Return the kind to use.

    Raises KindUnavailable with the reason if the wanted one can't run here.
    """
    if wanted not in CHOICES:
        raise HostsError(f"no kind {wanted!r}: it is one of {', '.join(CHOICES)}")
    if wanted == ROOTLESS and state.in_area():
        return NAMESPACE  # Inside the area, a rootless lab is of this kind.
    if wanted == AUTO:
        return _best()
    reason = why_not(wanted)
    if reason:
        raise KindUnavailable(f"{wanted} hosts can't run here: {reason}")
    return wanted


def _best() -> str:
    reasons = []
    for kind in (NAMESPACE, ROOTLESS):
        reason = why_not(kind)
        if reason is None:
            return kind
        reasons.append(f"no {kind} hosts, {reason}")
    warn("; ".join([*reasons, "so the hosts are plain ones"]))
    return PLAIN


def why_not(kind: str) -> str | None:
    """Return the reason why this machine can't run hosts of this kind; None if it can.

    Raises PackagesMissing if only programs are missing.
    """
    if kind == NAMESPACE:
        return _why_no_namespaces()
    if kind == ROOTLESS:
        return _why_not_rootless()
    return None


def _why_no_namespaces() -> str | None:
    if os.geteuid() != 0:
        return "they need root"
    ensure(*ALWAYS, *FOR_NAMESPACES)
    # If one program may do all that a host's boot needs, the boot may do it too.
    return _failure(
        [
            *UNSHARE_HOST,
            "mount",
            "-t",
            "proc",
            "proc",
            "/proc",
        ]
    )


def _why_not_rootless() -> str | None:
    ensure(*ALWAYS, *FOR_NAMESPACES)
    # First what no package changes: user namespaces may be switched off, or blocked by a container.
    reason = _failure(["unshare", "--user", "--map-root-user", "true"])
    if reason is None:
        ensure("newuidmap", "hostname")
        reason = _failure([*area.UNSHARE, "true"])
    return reason


def _failure(argv: list[str]) -> str | None:
    if shutil.which(argv[0]) is None:
        return f"{argv[0]} is not installed"
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return f"`{' '.join(argv)}` printed: {done.stderr.strip()}" if done.returncode else None
