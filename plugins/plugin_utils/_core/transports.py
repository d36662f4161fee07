# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of connections by what they call their transport: where their commands run, and through which shell.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase

_NEVER_STARTED = re.compile(
    r"Failed to connect to the host via paramiko|ssh: connect to host|Could not resolve hostname|Host key verification failed|Permission denied \(|"
    r"(?:kex|ssh)_exchange_identification|banner exchange|"
    r"Invalid/incorrect password|(?:Incorrect|Missing) \S+ password|Timeout \(\d+s?\) waiting for privilege escalation prompt|"
    # Of core's plugins local and paramiko_ssh, which put the output of sudo behind it.
    r"\A(?:Timed out|Premature end of stream|Duplicate become password prompt encountered) waiting for become success|"
    r"\A(?:timeout waiting for|privilege output closed while waiting for|ssh timed out waiting for) (?:privilege escalation|password prompt)|"
    r"\AA password is required but none was supplied"
)
"""What connection and become plugins say when there was no session, or no way to become the user: nothing was started that could be killed.
A kill order would wait at the same prompt, or count as one more wrong password. Any other failure may have come after the start."""

_SSH = ("ssh", "paramiko")
"""What core's plugins for ssh call their transport."""

_HERE = ("local", "community.general.chroot")
_WORDS = ("containers.podman.podman",)
_PROXIES = ("ansible.netcommon.persistent",)


def is_ssh(connection: ConnectionBase) -> bool:
    """Whether an ssh server runs the command, by the user's login shell."""
    return connection.transport in _SSH


def runs_here(connection: ConnectionBase) -> bool:
    """Whether the command runs on this very machine, as a child of the worker: it is the tree itself, and no client stands between."""
    return connection.transport in _HERE


def splits_words(connection: ConnectionBase) -> bool:
    """Whether the plugin splits the command line by itself and executes the words: no shell sees them."""
    return connection.transport in _WORDS


def is_for_devices(connection: ConnectionBase) -> bool:
    """Whether a network device is at the other end: no POSIX shell, though the plugin has a shell plugin of family sh. Such connections are persistent."""
    return bool(connection.force_persistence or connection.supports_persistence) or connection.transport in _PROXIES


def has_ways_of_its_own(connection: ConnectionBase) -> bool:
    """Whether modules reach the host past `exec_command`: the connections of mitogen talk to an interpreter that stays there."""
    return any(one.__module__.partition(".")[0] == "ansible_mitogen" for one in type(connection).__mro__)


def had_no_session(error: BaseException | str) -> bool:
    """Whether what a connection raised, or its client said, tells that nothing was started on the host: no session, or no way to become the user."""
    return bool(_NEVER_STARTED.search(str(error)))
