# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong with test hosts, as types."""

from __future__ import annotations


class HostsError(Exception):
    """Any failure of the test hosts; the text says what happened and what to do next."""


class PackagesMissing(HostsError):
    """Programs that are needed are not installed, and the caller is not root; the text names the packages."""


class KindUnavailable(HostsError):
    """This machine can't run hosts of the wanted kind; the text says why."""


class NoSuchLab(HostsError):
    """No lab of that name is up."""


class NoSuchHost(HostsError):
    """The lab has no host of that name."""


class HostIsOff(HostsError):
    """The host has no power: it was never booted, or its pid 1 is gone."""


class NotPossibleHere(HostsError):
    """The kind of host at hand has no such ability, a plain one has no network to cut."""
