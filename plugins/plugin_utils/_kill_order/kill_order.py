# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kill order: the lease whose tree is to be ended, and the way to its host from another process.

To make a connection again takes its resolved options, and those of its shell and its become plugin.
It also takes a few attributes of the play context.

All of it may hold passwords. An order exists only in the memory of the worker and the guardian, and
goes from one to the other over a private socket. It is never written to a file, an argument list or
a log.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
import shlex
import tempfile
import typing as t

from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import become_loader, connection_loader, shell_loader
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import KillRequest
from ansible_collections.treekill.remote.plugins.plugin_utils._core.api import Feature, is_supported
from ansible_collections.treekill.remote.plugins.plugin_utils._core.no_log_parameters import (
    hidden_parameters,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._core.transports import (
    had_no_session,
    is_ssh,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.json_record import JsonRecord
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import KillReport
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import KillOrderTerms
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.masks import (
    Masks,
    secrets_of_arguments,
    secrets_of_options,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.kill_command import (
    kill_command,
    parse_report,
)

if t.TYPE_CHECKING:
    from ansible.plugins.become import BecomeBase
    from ansible.plugins.connection import ConnectionBase

#: What connection and become plugins still read from the play context, because they have no option
#: for it.
_PLAY_CONTEXT = (
    "remote_addr", "remote_user", "port", "password", "timeout", "private_key_file", "connection",
    "executable", "become", "become_method", "become_user", "become_pass", "become_exe",
    "become_flags",
)  # fmt: skip

_CARRIES_ORDER = "_treekill_carries_order"

#: Seconds to search for a tree that was never seen. A command may be on its way when its client is
#: frozen. It starts within a round trip and a fork. A busy sshd was seen to take more than a
#: second.
ARRIVAL_TIMEOUT = 2.0


class ReconnectError(Exception):
    """The order's data did not suffice to reach the host, or to become its user."""


def carries_order(connection: ConnectionBase) -> bool:
    """Whether a connection was made to carry out a kill order.

    Such a connection takes no lease, and can ask no person for anything.
    """
    return _CARRIES_ORDER in vars(connection)


@dataclasses.dataclass(frozen=True)
class ConnectionSpec(JsonRecord):
    """The names and resolved options of a connection's plugins, to make the connection again."""

    connection: str
    connection_options: dict[str, t.Any]
    shell: str
    shell_options: dict[str, t.Any]
    become: str | None
    become_options: dict[str, t.Any]
    play_context: dict[str, t.Any]

    @classmethod
    def from_connection(cls, connection: ConnectionBase) -> ConnectionSpec:
        """Return the spec of a connection whose options are all set.

        They are when an action plugin is made.
        """
        become, shell = (
            connection.become if is_supported(Feature.BECOME) else None,
            connection._shell,
        )
        return cls(
            # A plugin that extends another one only to guard it names that one.
            connection=getattr(connection, "kill_order_plugin", _name_of(connection)),
            connection_options=connection.get_options(),
            shell=_name_of(shell),
            shell_options=shell.get_options(),
            become=_name_of(become) if become else None,
            become_options=become.get_options() if become else {},
            play_context={
                name: getattr(connection._play_context, name, None) for name in _PLAY_CONTEXT
            },
        )

    def connect(self, no_log: bool) -> ConnectionBase:
        """Return a new connection of this kind, with these options. It sends nothing yet.

        Args:
            no_log: whether the plugin must hide what it knows, including the reason of a failure.

        Raises:
            ReconnectError: a plugin is missing.
        """
        play_context = PlayContext()
        for name, value in self.play_context.items():
            setattr(play_context, name, value)
        play_context.no_log = no_log
        # Through this descriptor plugins lock a file that all workers share (host keys). The run's
        # own descriptor is closed here. The courier ends with the order, and its descriptors end
        # with it.
        play_context.connection_lockfd = _lock_file()
        connection = connection_loader.get(
            self.connection,
            play_context,
            new_stdin=None,
            task_uuid="",
            ansible_playbook_pid=str(os.getpid()),
        )
        if connection is None:
            raise ReconnectError(f"the connection plugin {self.connection} is not found")
        vars(connection)[_CARRIES_ORDER] = True
        connection.set_options(direct=self.connection_options)
        connection._shell = self._shell(play_context)
        if self.become:
            connection.set_become_plugin(self._become(self.become))
        return t.cast("ConnectionBase", connection)

    def _shell(self, play_context: PlayContext) -> t.Any:
        shell = shell_loader.get(self.shell)
        if shell is None:
            raise ReconnectError(f"the shell plugin {self.shell} is not found")
        shell.set_options(direct=self.shell_options)
        shell.executable = play_context.executable
        return shell

    def _become(self, name: str) -> BecomeBase:
        become = become_loader.get(name)
        if become is None:
            raise ReconnectError(f"the become plugin {name} is not found")
        become.set_options(direct=self.become_options)
        return t.cast("BecomeBase", become)


@dataclasses.dataclass(frozen=True)
class KillOrder:
    """The order to end the tree of one broken lease."""

    terms: KillOrderTerms
    connection: ConnectionSpec

    @classmethod
    def from_message(cls, order: object, connection: object) -> KillOrder:
        """Make an order from the JSON objects of `KillOrderTerms` and `ConnectionSpec`.

        Raises:
            MessageError: one of them is not what it should be.
        """
        return cls(KillOrderTerms.from_message(order), ConnectionSpec.from_message(connection))

    def carry_out(self, at_once: bool = False) -> KillReport:
        """Reach the host, run the kill pass there inside the task's become, and return its report.

        Args:
            at_once: without a grace period: KILL ends what the first signal leaves.

        Raises:
            AnsibleConnectionFailure: the host could not be reached. Another try may succeed.
            ReconnectError, AnsibleError: the kill pass could not be run there. Another try will
                fail too.
            KillReportError: the output holds no report.
        """
        nonce = secrets.token_hex(8)
        try:
            in_data = b"\n" if self.terms.pipelined else None
            return self._sent(nonce, self._pass(nonce, at_once), in_data)
        except AnsibleAuthenticationFailure:
            raise
        except AnsibleConnectionFailure as error:
            # A host that is down takes long to fail, so it is not tried twice. A sudo that requires
            # a terminal gets none together with input.
            if had_no_session(error) or (self.terms.becomes and not self.terms.pipelined):
                raise
            # A server that takes no command of this length (dropbear: 9000 bytes) reports only a
            # failure. It takes the command as input.
            return self._sent(nonce, 'eval "`cat`"', self._pass(nonce, at_once).encode("utf-8"))

    def masked(self, report: KillReport) -> KillReport:
        """Return a report of its host without the secrets of the task and its connection."""
        rows = (*report.gone, *report.survivors, *report.spared)
        masks = self._masks([text for row in rows for text in (row.command, row.reason)])
        return report.rewritten(masks.command, masks.text)

    def masked_reason(self, text: str) -> str:
        """Return the reason of a failure without the secrets of the task and its connection."""
        return self._masks([text]).text(text)

    def _masks(self, texts: t.Collection[str]) -> Masks:
        """Return the masks for these texts.

        The source of the module is read only if one of them holds a value of the task.
        """
        values = [value for dummy, value in self.terms.arguments]
        hidden: t.Collection[str] = ()
        if Masks.from_secrets(values).concern(texts):
            try:
                hidden = hidden_parameters(self.terms.action)
            # Whatever a plugin loader raises, the report is still true. All values count as secret
            # then.
            except Exception:  # noqa: BLE001
                hidden = {part for name, dummy in self.terms.arguments for part in name.split(".")}
        options = (
            self.connection.connection_options,
            self.connection.become_options,
            self.connection.play_context,
        )
        secrets_of_connection = [secret for one in options for secret in secrets_of_options(one)]
        return Masks.from_secrets(
            [*secrets_of_connection, *secrets_of_arguments(self.terms.arguments, hidden)]
        )

    def _sent(self, nonce: str, command: str, in_data: bytes | None) -> KillReport:
        connection = self.connection.connect(no_log=not self.terms.show_arguments)
        dummy, stdout, stderr = connection.exec_command(
            self._command(connection, command), in_data=in_data, sudoable=self.terms.becomes
        )
        return parse_report(_text(stdout) + _text(stderr), nonce)

    def _pass(self, nonce: str, at_once: bool) -> str:
        request = KillRequest(
            run=self.terms.run,
            lease=self.terms.lease,
            nonce=nonce,
            signal=self.terms.options.signal,
            children=self.terms.options.children,
            children_signal=self.terms.options.children_signal,
            alone=self.terms.options.alone,
            timeout=0.0 if at_once else self.terms.options.timeout,
            arrival_timeout=ARRIVAL_TIMEOUT,
            arguments=self.terms.show_arguments,
            escalate=True,
            skip_grace=at_once,
        )
        return kill_command(request, self.terms.interpreters)

    def _command(self, connection: ConnectionBase, command: str) -> str:
        if self.terms.becomes:
            if connection.become is None:
                raise ReconnectError(
                    "the task ran inside become, and its become plugin is not known"
                )
            command = connection.become.build_become_command(command, connection._shell)
        executable = connection._play_context.executable
        if executable == "/bin/sh" and is_ssh(connection):
            # A restricted login shell runs no program by its path.
            executable = "sh"
        if connection.allow_executable and executable:
            command = f"{executable} -c {shlex.quote(command)}"
        return command


def _name_of(plugin: t.Any) -> str:
    """Return the name by which the plugin's loader finds it.

    A plugin of a collection knows only the name of its Python module.
    """
    name = str(plugin._load_name)
    if not name.startswith("ansible_collections."):
        return name
    dummy, namespace, collection, dummy, dummy, *rest = name.split(".")
    return ".".join((namespace, collection, *rest))


def _lock_file() -> int:
    """Return the descriptor of a file without a name.

    It is in memory if the system allows that, because the disk may be full.
    """
    if hasattr(os, "memfd_create"):
        return os.memfd_create("treekill")
    descriptor, name = tempfile.mkstemp()
    os.unlink(name)
    return descriptor


def _text(output: bytes | str) -> str:
    return output if isinstance(output, str) else output.decode("utf-8", "replace")
