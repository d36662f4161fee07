# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of test hosts, as types."""

from __future__ import annotations


class HostsError(Exception):
    """Any failure of the test hosts. The text has what happened and what to do next."""


class PackagesMissing(HostsError):
    """Programs are missing, and the caller is not root. The text names the packages."""


class KindUnavailable(HostsError):
    """Error of a machine that can't run hosts of the wanted kind. The text has the reason."""


class NoSuchLab(HostsError):
    """No lab of that name is up."""


class NoSuchHost(HostsError):
    """The lab has no host of that name."""


class HostIsOff(HostsError):
    """Error for a host without power: it was never booted, or its pid 1 is gone."""


class NotPossibleHere(HostsError):
    """Error for an ability that this kind of host lacks: a plain host has no network to cut."""
