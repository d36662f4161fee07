# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kill order: the lease whose tree is to be ended, and the way to its host from another process.

It may hold passwords: those of the connection, and those in the arguments of the task. An order
exists only in the memory of the worker and the guardian, and goes from one to the other over a
private socket. It is never written to a file, an argument list or a log.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import os
import secrets
import shlex
import time
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._core.no_log_parameters import (
    hidden_parameters,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._core.transports import (
    has_engine,
    is_ssh,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import KillReport
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import KillOrderTerms
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.connection_spec import (
    ConnectionSpec,
    ReconnectError,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.masks import (
    Masks,
    secrets_of_arguments,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.host_report import (
    KillReportError,
    parse_report,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.kill_command import (
    kill_command,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.pulse_command import (
    pulse_command,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.shell_encoding import carried

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase
    from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.held_client import (
        HeldClient,
    )

#: Plugins that the guardian itself may load. They are core's own, and do not connect when they are
#: made. Any other one might hang.
_LOADED_AHEAD = frozenset({"ssh", "ansible.builtin.ssh", "sh", "sudo", "ansible.builtin.sudo"})

#: Seconds to search for a tree that was never seen. A command may be on its way when its client is
#: frozen. It starts within a round trip and a fork. A busy sshd was seen to take more than a
#: second.
ARRIVAL_TIMEOUT = 2.0

#: Runs the command that comes on standard input. Signals are ignored from the start.
_READ = 'trap "" 1 2 3 13 15 USR1; eval "`cat`"'


class PassMode(enum.Enum):
    """The mode of a kill pass."""

    #: End the tree.
    END = "end"
    #: End it without a grace period: KILL ends what the first signal leaves.
    AT_ONCE = "at once"
    #: Report which transactions are running there, and touch nothing.
    LOOK = "look"


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

    def carry_out(self, mode: PassMode = PassMode.END) -> KillReport:
        """Reach the host, run the kill pass there inside the task's become, and return its report.

        Raises:
            AnsibleConnectionFailure: the host could not be reached. Another try may succeed.
            ReconnectError, AnsibleError: the kill pass could not be run there. Another try will
                fail too.
            KillReportError: the output holds no report.
        """
        nonce = secrets.token_hex(8)
        command = self._pass(nonce, mode)
        connection = self._connected()
        # A sudo that requires a terminal gets none together with input.
        takes_input = self.terms.pipelined or not self.terms.becomes
        if takes_input and is_ssh(connection) and connection.has_pipelining:
            # A server that takes no long command (dropbear: 9000 bytes) closes the connection when
            # one comes. Other orders share it, and would be cut off.
            try:
                return self._sent(connection, nonce, _READ, command.encode("utf-8"))
            except KillReportError:
                # The login shell of the user has kept the input from the command, for example.
                connection = self._connected()
        in_data = b"\n" if self.terms.pipelined else None
        return self._sent(connection, nonce, command, in_data)

    def run_pulse(self, nonce: str, client: HeldClient) -> None:
        """Run a pulse on the host inside the task's become, until it ends.

        `client`: holds the input of what plugins start.

        Raises:
            Exception: whatever the plugins raise.
        """
        connection = self.connection.connect(no_log=not self.terms.show_arguments)
        vars(connection)["held_client"] = client
        self.connection.share_only_what_persists(connection)
        client.hold_sockets_of(connection)
        client.began = time.monotonic()
        become = connection.become if self.terms.becomes else None
        takes_terminal = getattr(become, "require_tty", False) and not has_engine(connection)
        connection.exec_command(
            self._command(
                connection, pulse_command(self.terms.run, nonce, self.terms.interpreters)
            ),
            # With input, there is no terminal. A program like su takes a password only from one.
            in_data=None if takes_terminal else b"\n",
            sudoable=self.terms.becomes,
        )

    def output_of(self, command: str) -> str:
        """Run another script of sh on the host inside the task's become, and return its output.

        Raises:
            Exception: whatever the plugins raise.
        """
        connection = self._connected()
        in_data = b"\n" if self.terms.pipelined else None
        answer = connection.exec_command(
            self._command(connection, carried(command)),
            in_data=in_data,
            sudoable=self.terms.becomes,
        )
        return _text(answer[1])

    def masked(self, report: KillReport) -> KillReport:
        """Return a report of its host without the secrets of the task and its connection."""
        texts = [text for row in report.processes for text in (row.command, row.reason)]
        masks = self._masks(
            [*texts, *(text for one in report.elsewhere for text in (one.what, one.look))]
        )
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
        return Masks.from_secrets(
            [*self.connection.secrets(), *secrets_of_arguments(self.terms.arguments, hidden)]
        )

    def _connected(self) -> ConnectionBase:
        return self.connection.connect(no_log=not self.terms.show_arguments)

    def _sent(
        self, connection: ConnectionBase, nonce: str, command: str, in_data: bytes | None
    ) -> KillReport:
        dummy, stdout, stderr = connection.exec_command(
            self._command(connection, command), in_data=in_data, sudoable=self.terms.becomes
        )
        return parse_report(_text(stdout) + _text(stderr), nonce)

    def _pass(self, nonce: str, mode: PassMode) -> str:
        request = self.terms.options.request(
            self.terms.run, self.terms.lease, arguments=self.terms.show_arguments
        )
        request.nonce = nonce
        request.arrival_timeout = ARRIVAL_TIMEOUT
        request.look = mode is PassMode.LOOK
        if mode is PassMode.AT_ONCE:
            request.timeout, request.skip_grace = 0.0, True
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


def load_ahead(orders: t.Iterable[tuple[str, str]]) -> None:
    """Do once what each courier of these orders does before it connects, so that they inherit it.

    To load plugins and their options takes most of the time of a courier.

    Args:
        orders: each as the two JSON texts of a lease.
    """
    done = set()
    for order, reach in orders:
        try:
            made = KillOrder.from_message(json.loads(order), json.loads(reach))
            plugins = (made.connection.connection, made.connection.shell, made.connection.become)
            if plugins not in done and _LOADED_AHEAD.issuperset(filter(None, plugins)):
                done.add(plugins)
                os.close(made.connection.connect(no_log=True)._play_context.connection_lockfd)
        # A courier meets the same error, and reports it.
        except Exception:  # noqa: BLE001
            return


def _text(output: bytes | str) -> str:
    return output if isinstance(output, str) else output.decode("utf-8", "replace")
