# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outcome of each attempt of core's ssh plugin to send one command.

With `reconnection_retries` the plugin sends a command several times, and raises the error of the
last attempt. An earlier attempt may have started the command: a host that now refuses connections
may be restarting. With `no_log` the error does not contain the output of the client.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._core.transports import (
    client_had_no_session,
    had_no_session,
)

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase

#: Core's text in place of the client's output. The output itself is only read here, never shown.
_CENSORED = "<error censored due to no log>"

_SSH_FAILED = 255


class Attempts:
    """The failed attempts of one connection object.

    Only core's ssh plugin has the method `_bare_run`. Other plugins make one attempt.
    """

    def __init__(self, connection: ConnectionBase) -> None:
        #: Whether there was no session, for each failed attempt.
        self._failures: list[bool] = []
        run: t.Callable[..., tuple[int, bytes, bytes]] | None = getattr(
            connection, "_bare_run", None
        )
        if run is None:
            return

        @functools.wraps(run)
        def bare_run(*args: t.Any, **more: t.Any) -> tuple[int, bytes, bytes]:
            try:
                status, stdout, stderr = run(*args, **more)
            except Exception as error:
                self._failures.append(had_no_session(error))
                raise
            if status == _SSH_FAILED:
                self._failures.append(client_had_no_session(stderr.decode("utf-8", "replace")))
            return status, stdout, stderr

        vars(connection)["_bare_run"] = bare_run

    def begin(self) -> None:
        """Forget the attempts for earlier commands."""
        self._failures.clear()

    def had_no_session(self, error: BaseException) -> bool:
        """Whether no attempt for a command that failed with this error had a session.

        The command has then started nothing.
        """
        last = [] if _CENSORED in str(error) else [had_no_session(error)]
        failures = [*self._failures, *last]
        return bool(failures) and all(failures)
