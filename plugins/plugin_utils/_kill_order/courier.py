# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A courier: one try to carry out one kill order.

It is a process of its own, which can be ended when it takes too long.

A thread would not do. Connection plugins block, start clients and ask for passwords, and a thread
that hangs in one can't be ended.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import typing as t

from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure
from ansible_collections.treekill.remote.plugins.module_utils._process.model import descendants
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.json_record import MessageError
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    LeaseResult,
    Outcome,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.kill_order import (
    KillOrder,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease
from ansible_collections.treekill.remote.plugins.plugin_utils._system.askpass_files import (
    forget,
    shared_passwords,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import (
    Loop,
    read_ready,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import leave_parent
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import LocalTable

#: Seconds for the connection, become and the pass, without the grace period. The ConnectTimeout
#: that Ansible gives OpenSSH is 10.
ATTEMPT_TIMEOUT = 30.0

#: Bytes that a courier may use beyond the memory of the guardian. A connection plugin keeps all
#: output of a host. A hostile host may send more than the controller has memory for. The longest
#: report takes a third of this.
_MEMORY_BYTES = 512 * 1024 * 1024


class Courier:
    """A running try. It calls `on_end` once, with the result. It never raises into the loop."""

    def __init__(
        self,
        lease: Lease,
        loop: Loop,
        on_end: t.Callable[[Courier, LeaseResult], None],
        at_once: bool = False,
    ) -> None:
        self.lease = lease
        self._loop = loop
        self._on_end = on_end
        self.began = loop.clock()
        self._answer = bytearray()
        self._pipe, write_end = os.pipe()
        try:
            self._pid = os.fork()
        except OSError:
            os.close(self._pipe)
            os.close(write_end)
            raise
        if self._pid == 0:
            _be_courier(lease, write_end, at_once)
        os.close(write_end)
        os.set_blocking(self._pipe, False)
        limit = ATTEMPT_TIMEOUT + (0.0 if at_once else lease.terms.timeout)
        self._limit = loop.after(limit, lambda: self._give_up(limit))
        loop.watch(self._pipe, self._read)

    def _read(self) -> None:
        chunk = read_ready(self._pipe)
        if chunk is None:
            self._finish(self._result())
        else:
            self._answer += chunk

    def _result(self) -> LeaseResult:
        try:
            return LeaseResult.from_message(json.loads(self._answer))
        except (ValueError, MessageError):
            # The courier was killed, for example by the system for lack of memory. Its progress is
            # unknown, so another one is sent.
            return LeaseResult(
                Outcome.UNREACHABLE,
                "the process that carried the kill order ended without an answer",
            )

    def _give_up(self, limit: float) -> None:
        table = LocalTable()
        passwords = shared_passwords(
            table, descendants([self._pid], table.children, lambda pid: False)
        )
        self._finish(LeaseResult(Outcome.UNREACHABLE, f"no answer within {limit:.0f} s"))
        forget(passwords)

    def _finish(self, result: LeaseResult) -> None:
        self._limit.cancel()
        self._loop.unwatch(self._pipe)
        os.close(self._pipe)
        # The courier's session: a hanging ssh client ends with it. The courier leads that group
        # until it is waited for, so the pid is still its own.
        try:
            os.killpg(self._pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            # The courier had not reached setsid, or only a setuid client is left of the group. The
            # next line ends the courier itself.
            pass
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._on_end(self, result)


def _be_courier(lease: Lease, write_end: int, at_once: bool) -> t.NoReturn:
    """Carry out the order in the forked child, answer through the pipe, and end.

    The parent's clean-up is not run.
    """
    try:
        # Above all the guardian's sockets are closed: a courier that holds them would hide the end
        # of a guardian.
        leave_parent(signal.SIG_DFL, write_end)
        _bound_memory()
        answer = json.dumps(_carry_out(lease, at_once).to_message()).encode()
        while answer:
            written = os.write(write_end, answer)
            answer = answer[written:]
    finally:
        os._exit(0)


def _bound_memory() -> None:
    """Limit the memory of this process and of each client that it starts.

    The limit is not for the address space. Clients in Go, such as those of docker and podman,
    reserve more of that than they use.
    """
    try:
        with open("/proc/self/statm", encoding="ascii") as sizes:
            own = int(sizes.read().split()[5]) * resource.getpagesize()
    except OSError:
        return  # This system is not Linux. It neither shows the size nor enforces the limit.
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = own + _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(own + _MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _carry_out(lease: Lease, at_once: bool) -> LeaseResult:
    try:
        order = KillOrder.from_message(json.loads(lease.order), json.loads(lease.reach))
    # The worker may belong to another run, or the error is our own. The user reads it in both
    # cases.
    except Exception as error:  # noqa: BLE001
        return LeaseResult(Outcome.FAILED, f"no kill order: {type(error).__name__}")
    try:
        return LeaseResult(Outcome.CONFIRMED, report=order.masked(order.carry_out(at_once)))
    # Whatever a plugin raises, the user reads it as the reason.
    except Exception as error:  # noqa: BLE001
        outcome, reason = _failure(error)
        return LeaseResult(outcome, order.masked_reason(reason))


def _failure(error: Exception) -> tuple[Outcome, str]:
    if isinstance(error, AnsibleAuthenticationFailure):
        return Outcome.FAILED, str(error)
    if isinstance(error, AnsibleConnectionFailure):
        return Outcome.UNREACHABLE, str(error)
    if isinstance(error, MemoryError):
        return (
            Outcome.FAILED,
            f"the host sent more than fits into {_MEMORY_BYTES >> 20} MB: that is no report",
        )
    return Outcome.FAILED, f"{type(error).__name__}: {error}"
