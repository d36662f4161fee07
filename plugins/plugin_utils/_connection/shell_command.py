# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A command line that is changed for the first POSIX shell that runs it, through any connection."""

from __future__ import annotations

import shlex
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._core.transports import (
    is_ssh,
    runs_here,
    splits_words,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.shell_encoding import (
    quoted_for_any,
)

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase


def in_first_shell(connection: ConnectionBase, cmd: str, change: t.Callable[[str], str]) -> str:
    """Return the command line with a changed body for its first POSIX shell.

    `cmd` is what core gives to the connection, without become. `change` returns the changed body.
    """
    shell, dash_c, quoted = cmd.partition(" -c ")
    if dash_c and shell == connection._play_context.executable:
        body = unquoted(quoted)
        if body is not None:
            return f"{shell} -c {quoted_for_any(change(body), shell)}"
    # A raw command.
    if runs_here(connection):
        return change(cmd)
    if splits_words(connection):
        around = change('exec "$@"')
        return f"/bin/sh -c {shlex.quote(around)} sh {cmd}"
    if not is_ssh(connection):
        return "/bin/sh -c " + shlex.quote(change(cmd))
    # sshd sets SHELL to the user's login shell, which need not be a POSIX shell. Other connections
    # may set SHELL to the shell of another user. The login shell reads the line as well: a
    # restricted one runs no program that is named by a path.
    return "sh -c " + quoted_for_any(change(f'exec "${{SHELL:-/bin/sh}}" -c {shlex.quote(cmd)}'))


def unquoted(quoted: str) -> str | None:
    """Return the word that shlex.quote turned into `quoted`.

    None for anything else: a shell might expand it.
    """
    try:
        words = shlex.split(quoted)
    except ValueError:
        return None
    return words[0] if len(words) == 1 and shlex.quote(words[0]) == quoted else None
