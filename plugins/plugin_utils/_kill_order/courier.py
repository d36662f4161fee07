# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A courier: one try to carry out one kill order.

It is a process of its own, which can be ended when it takes too long.

A thread would not do. Connection plugins block, start clients and ask for passwords, and a thread
that hangs in one can't be ended.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import resource
import signal
import time
import typing as t

from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.json_record import MessageError
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    LeaseResult,
    Outcome,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_off_report import (
    with_elsewhere,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.kill_order import (
    KillOrder,
    PassMode,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.ssh_clients import (
    SshClients,
    end_own_clients,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import (
    Loop,
    read_ready,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import leave_parent

#: Seconds for the connection, become and the pass, without the grace period. The ConnectTimeout
#: that Ansible gives OpenSSH is 10.
ATTEMPT_TIMEOUT = 30.0

#: Seconds in which a stop reaches a courier, and seconds between two looks. A courier that takes
#: longer waits in the kernel: for a device, or for a client that has not begun its program.
_STOP_SECONDS, _STOP_LOOK_SECONDS = 0.05, 0.001

#: Seconds that a courier gets each time that there is a reason for its delay.
_MORE_TIME_SECONDS = 5.0

#: Bytes that a courier may use beyond the memory of the guardian. A connection plugin keeps all
#: output of a host. A hostile host may send more than the controller has memory for. The longest
#: report takes a third of this.
_MEMORY_BYTES = 512 * 1024 * 1024


#: Descriptors that stay free when a courier is forked.
_SPARE_DESCRIPTORS = 8


class Courier:
    """A running try. It calls `on_end` once, with the result. It never raises into the loop."""

    def __init__(
        self,
        lease: Lease,
        loop: Loop,
        on_end: t.Callable[[Courier, LeaseResult], None],
        mode: PassMode = PassMode.END,
        has_reason: t.Callable[[], bool] = lambda: False,
        since: float | None = None,
    ) -> None:
        """Send the courier.

        Args:
            lease: to be ended.
            loop: of the guardian.
            on_end: gets the result.
            mode: of the kill pass.
            has_reason: whether there is a reason why the host has not answered in time. Then the
                courier gets more time.
            since: when the first courier of this try was sent, on the loop's clock; now if None.
        """
        self.lease = lease
        self.mode = mode
        self._has_reason = has_reason
        self._loop = loop
        self._on_end = on_end
        self.began = loop.clock()
        kill_began = time.monotonic() - (0.0 if since is None else self.began - since)
        self._answer = bytearray()
        self._pipe, write_end = os.pipe()
        try:
            _leave_room(write_end)
            self._pid = os.fork()
        except OSError:
            os.close(self._pipe)
            os.close(write_end)
            raise
        if self._pid == 0:
            try:
                _be_courier(lease, write_end, mode, kill_began)
            finally:
                # No second guardian comes of it, and the parent's clean-up is not run.
                os._exit(0)
        os.close(write_end)
        os.set_blocking(self._pipe, False)
        limit = ATTEMPT_TIMEOUT + (lease.terms.timeout if mode is PassMode.END else 0.0)
        self._limit = loop.after(limit, self._give_up)
        loop.watch(self._pipe, self._read)

    def _read(self) -> None:
        chunk = read_ready(self._pipe)
        if chunk is not None:
            self._answer += chunk
            return
        self._close()
        try:
            result = LeaseResult.from_message(json.loads(self._answer))
        except (ValueError, MessageError):
            # The courier was killed, for example by the system for lack of memory. Its progress is
            # unknown, so another one is sent.
            result = LeaseResult(
                Outcome.UNREACHABLE,
                "the process that carried the kill order ended without an answer",
            )
            self._end()
        else:
            # It has ended its clients itself.
            os.kill(self._pid, signal.SIGKILL)
            self._loop.reap(self._pid)
        self._on_end(self, result)

    def abandon(self) -> None:
        """End the courier without a result. What it has started on the host goes on there."""
        self._on_end = lambda courier, result: None
        self._break_off("not waited for")

    def _give_up(self) -> None:
        if self._has_reason():
            self._limit = self._loop.after(_MORE_TIME_SECONDS, self._give_up)
            return
        limit = self._loop.clock() - self.began
        self._break_off(f"no answer within {limit:.0f} s")

    def _break_off(self, reason: str) -> None:
        """End the courier before its answer, with its clients, and remove their passwords."""
        # The search needs descriptors, and these may be the last ones.
        self._close()
        self._stop()
        self._end()
        self._on_end(self, LeaseResult(Outcome.UNREACHABLE, reason))

    def _stop(self) -> None:
        """Stop the courier, so that it starts no client that is not seen.

        It stays a child to be waited for. A courier that waits in the kernel starts no client
        meanwhile. SIGKILL ends many such waits and SIGSTOP none, so this waits only a moment.
        """
        os.kill(self._pid, signal.SIGSTOP)
        # macOS has no waitid before Python 3.13, and no table of processes to look at.
        if not hasattr(os, "waitid"):
            return
        states = os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG
        until = time.monotonic() + _STOP_SECONDS
        while os.waitid(os.P_PID, self._pid, states) is None and time.monotonic() < until:
            time.sleep(_STOP_LOOK_SECONDS)

    def _end(self) -> None:
        """End the courier, with all that it has started."""
        try:
            SshClients.below(self._pid).end_with_leader()
        except OSError:
            # There is a shortage: the processes can't be read.
            os.kill(self._pid, signal.SIGKILL)
        self._loop.reap(self._pid)

    def _close(self) -> None:
        self._limit.cancel()
        self._loop.unwatch(self._pipe)
        os.close(self._pipe)


def _leave_room(descriptor: int) -> None:
    """Raise an OSError if too few descriptors above this one are free.

    A courier has all of the guardian's open when it begins, and the guardian has to read processes.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit != resource.RLIM_INFINITY and descriptor >= limit - _SPARE_DESCRIPTORS:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def _be_courier(lease: Lease, write_end: int, mode: PassMode, kill_began: float) -> None:
    """Carry out the order in the forked child, and answer through the pipe."""
    # Above all the guardian's sockets are closed: a courier that holds them would hide the end of a
    # guardian.
    leave_parent(signal.SIG_DFL, write_end)
    # A collection of garbage would copy all memory that the courier shares with the guardian.
    gc.freeze()
    bound_memory()
    answer = json.dumps(_carry_out(lease, mode, kill_began).to_message()).encode()
    end_own_clients()
    while answer:
        written = os.write(write_end, answer)
        answer = answer[written:]


def bound_memory() -> None:
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


def _carry_out(lease: Lease, mode: PassMode, kill_began: float) -> LeaseResult:
    try:
        order = KillOrder.from_message(json.loads(lease.order), json.loads(lease.reach))
    # The worker may belong to another run, or the error is our own. The user reads it in both
    # cases.
    except Exception as error:  # noqa: BLE001
        return LeaseResult(Outcome.FAILED, f"no kill order: {type(error).__name__}")
    try:
        report = order.carry_out(mode)
        if mode is not PassMode.LOOK:
            report = with_elsewhere(
                order,
                report,
                lease.terms.payload,
                at_once=mode is PassMode.AT_ONCE,
                since_began=time.monotonic() - kill_began,
            )
        return LeaseResult(Outcome.CONFIRMED, report=order.masked(report))
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
            f"the host sent more than {_MEMORY_BYTES >> 20} MB; this is not a valid report",
        )
    return Outcome.FAILED, f"{type(error).__name__}: {error}"
