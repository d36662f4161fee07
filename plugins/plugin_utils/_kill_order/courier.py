# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A courier: one try to carry out one kill order, in a process of its own that can be ended when it takes too long.

Not a thread: connection plugins block, spawn clients and ask for passwords, and a thread that hangs in one can't be ended.
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
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.order import KillOrder
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

#: Seconds for a connection, become and the pass beyond the grace. OpenSSH's own ConnectTimeout
#: under Ansible is 10.
ATTEMPT_TIMEOUT = 30.0

#: Bytes that a courier may take beyond what the guardian has. A connection plugin keeps all that a
#: host says, and a hostile host may say more than the controller has memory for. The longest report
#: takes a third of it.
_MEMORY_BYTES = 512 * 1024 * 1024


class Courier:
    """A running try. Calls `on_end` once, with what came of it; never raises into the loop."""

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
            # Killed, by the system for want of memory for example. Nobody knows how far it had come: another one is sent.
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
        # Its session's group: an ssh client that hangs goes with it. It leads that group until it is waited for, so the pid is still its own.
        try:
            os.killpg(self._pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # it had not come as far as setsid, or all that is left of the group is a setuid client: the next line ends itself
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._on_end(self, result)


def _be_courier(lease: Lease, write_end: int, at_once: bool) -> t.NoReturn:
    """In the forked child: carry out the order, answer through the pipe, and end without the parent's clean-up."""
    try:
        # The guardian's sockets above all: what a courier held open would hide that a guardian has gone.
        leave_parent(signal.SIG_DFL, write_end)
        _bound_memory()
        answer = json.dumps(_carry_out(lease, at_once).to_message()).encode()
        while answer:
            written = os.write(write_end, answer)
            answer = answer[written:]
    finally:
        os._exit(0)


def _bound_memory() -> None:
    """For this process and each client of it. Not the address space: clients in Go, as those of docker and podman are, reserve more of that than they use."""
    try:
        with open("/proc/self/statm", encoding="ascii") as sizes:
            own = int(sizes.read().split()[5]) * resource.getpagesize()
    except OSError:
        return  # no Linux: there the size is not told, and the limit is not kept either
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = own + _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(own + _MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _carry_out(lease: Lease, at_once: bool) -> LeaseResult:
    try:
        order = KillOrder.from_message(json.loads(lease.order), json.loads(lease.reach))
    except Exception as error:  # noqa: BLE001  # a worker of a run that is not ours, or a fault of our own: the user is told in either case
        return LeaseResult(Outcome.FAILED, f"no kill order: {type(error).__name__}")
    try:
        return LeaseResult(Outcome.CONFIRMED, report=order.masked(order.carry_out(at_once)))
    except Exception as error:  # noqa: BLE001  # whatever a plugin raises is told to the user as the reason
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
            f"the host said more than fits into {_MEMORY_BYTES >> 20} MB: that is no report",
        )
    return Outcome.FAILED, f"{type(error).__name__}: {error}"
