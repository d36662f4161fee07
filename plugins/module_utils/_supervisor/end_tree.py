# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The end of a tree by its supervisor, when the channel has broken.

The supervisor ends all that is below it, and keeps the report for a kill pass.
"""

import _socket
import os
import select
import time

from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.kill_pass import (
    new_kill_pass,
)
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.main import (
    carry_out,
    detach,
    limit_time,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import (
    VARIABLE,
    parse_cookie,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
    read_request,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.supervisor_socket import (
    listen_for,
    peer_of,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.supervisor_title import (
    ENDING_TITLE,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    OF_A_GROUP,
    host_signals,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ancestors
from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import (
    SIGCONT,
    signal_alarm,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.title import set_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, NoReturn

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessTable
    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.watch import (
        Supervisor,
    )

#: Seconds in which the client has to read the report.
SEND_SECONDS = 5
#: Seconds for which the report is kept if that keeps the root waiting.
ROOT_WAITS_SECONDS = 5


def end_tree(supervisor: "Supervisor") -> "NoReturn":
    """End what is below the supervisor, and then the supervisor itself.

    The report and the tree's last output need sockets and pipes. Without these, the tree is ended
    anyway.
    """
    if supervisor.listener is None:
        supervisor.listener = listen_for(supervisor.options["run"], supervisor.options["lease"])
    detach()
    set_title(
        (
            "%s of run %s, lease %s"
            % (ENDING_TITLE, supervisor.options["run"], supervisor.options["lease"])
        ).encode()
    )
    pipes = held_open()
    try:
        end_by_pass(supervisor, pipes)
    finally:
        for descriptor in pipes:
            os.close(descriptor)
    os._exit(1)


def end_by_pass(supervisor: "Supervisor", pipes: "List[int]") -> None:
    """Let a kill pass end the tree.

    pipes: descriptors that hold the tree's output open meanwhile.
    """
    # The pass needs a descriptor. The last free ones may have been used for these.
    supervisor.give_up_taken()
    while pipes and not one_is_free():
        os.close(pipes.pop())
    if supervisor.listener is not None and not one_is_free():
        supervisor.listener.close()
        supervisor.listener = None
    # A pass that found this process before it had its present title does not know that it is at
    # work.
    supervisor.give_way()
    request = read_request("%s=%s" % item for item in supervisor.options.items())
    request.arrival_timeout = 0.0
    request.below = "%d:%d:%d" % (os.getpid(), supervisor.child, own_root())
    limit_time(request)
    kill_pass = new_kill_pass(request)
    kill_pass.control.sleep = lambda seconds: sleep_and_reap(supervisor, pipes, seconds)
    kill_pass.prolong = lambda: limit_time(request, request.finish_timeout)
    report = carry_out(kill_pass, supervisor.program)
    resume_parents(kill_pass.control.table)
    if supervisor.listener is not None:
        keep_report(supervisor, report)


def resume_parents(table: "ProcessTable") -> None:
    """Resume the shells that wait for this process.

    A sudo that stops itself stops its whole process group. In a session with a terminal, that is
    the group of these shells as well.
    """
    try:
        session = os.getsid(os.getppid())
        own = table.process(os.getpid())
        for parent in ancestors(own, table.process) if own is not None else ():
            if os.getsid(parent.id.pid) != session:
                return
            if parent.stopped:
                os.kill(parent.id.pid, SIGCONT)
    except OSError:
        pass  # they have ended, or belong to another user


def one_is_free() -> bool:
    """Whether another descriptor is free."""
    try:
        os.close(os.dup(0))
    except OSError:
        return False
    return True


def own_root() -> int:
    """Return the pid of the root above this process, from its cookie.

    Return 0 if the task has put another text in its place.
    """
    try:
        return parse_cookie(os.environ.get(VARIABLE, "")).root
    except ValueError:
        return 0


def held_open() -> "List[int]":
    """Open the reading ends of the pipes that the output goes to.

    While they are open, a process can still write while it ends. A terminal has its reader still,
    or it was hung up. What could be read there is the task's input.
    """
    found = []
    for descriptor in (1, 2):
        if os.isatty(descriptor):
            continue
        try:
            found.append(os.open("/proc/self/fd/%d" % descriptor, os.O_RDONLY | os.O_NONBLOCK))
        except OSError:
            pass  # a socket, or a terminal that was hung up; or there are no descriptors for it
    return found


def sleep_and_reap(supervisor: "Supervisor", pipes: "List[int]", seconds: float) -> None:
    """Wait this many seconds, or until a child has ended; read what is written meanwhile."""
    poll = select.poll()
    for descriptor in [supervisor.wakeup, *pipes]:
        poll.register(descriptor, select.POLLIN)
    for descriptor, dummy in poll.poll(seconds * 1000):
        if descriptor in pipes:
            try:
                os.read(descriptor, 65536)
            except OSError:
                pass  # nothing more to read for now
    supervisor.reap()


def keep_report(supervisor: "Supervisor", report: str) -> None:
    """Serve the report from a process outside the root's tree, so that the root may end."""
    try:
        if os.fork():
            return
    except OSError:
        # there is no process: this one serves it, and the root has to wait
        supervisor.report_seconds = min(supervisor.report_seconds, ROOT_WAITS_SECONDS)
    try:
        serve_report(supervisor, report)
    finally:
        os._exit(1)


def serve_report(supervisor: "Supervisor", report: str) -> None:
    """Serve the report until a client has it, or the time for that is over.

    A broken channel does not show whether the controller lives. If it does, its courier may come
    late: it is one of many, or its host refuses it at first.
    """
    until = time.monotonic() + supervisor.report_seconds
    # a client that connects again and again could keep this process here
    signal_alarm(supervisor.report_seconds + 2 * SEND_SECONDS)
    leave_all_but(supervisor.listener.fileno())
    # from here on, this process appears at the other end of connections
    supervisor.listener.listen(8)
    # The cookie goes as well. Otherwise a kill pass would take this process for a part of the tree.
    set_title(
        (
            "treekill: report of run %s, lease %s"
            % (supervisor.options["run"], supervisor.options["lease"])
        ).encode(),
        environment=True,
    )
    poll = select.poll()
    poll.register(supervisor.listener.fileno(), select.POLLIN)
    while poll.poll(max(until - time.monotonic(), 0) * 1000):
        connection = _socket.socket(fileno=supervisor.listener._accept()[0])
        if peer_of(connection)[1] in (0, os.geteuid()) and send_report(
            connection, report.encode("ascii")
        ):
            until = 0.0  # a client that waits at this moment gets it as well
        connection.close()


def leave_all_but(own: int) -> None:
    """Hold up nothing that the task or its host needs: keep one descriptor, and heed signals.

    A shutdown of the host waits for what ignores SIGTERM. A process blocks that writes to a pipe
    which is open, and which nothing reads.
    """
    os.close(2)  # the listing needs one, and there may be no other
    opened = os.listdir("/proc/self/fd")
    for descriptor in (1, 2):
        os.dup2(0, descriptor)
    for descriptor in map(int, opened):
        if descriptor > 2 and descriptor != own:
            try:
                os.close(descriptor)
            except OSError:
                pass  # that of the listing itself
    os.chdir("/")
    for number in OF_A_GROUP:
        host_signals.signal(number, host_signals.SIG_DFL)


def send_report(connection: "_socket.socket", text: bytes) -> bool:
    """Send the whole text. Return whether the client was there to the end."""
    connection.settimeout(SEND_SECONDS)
    try:
        connection.sendall(text)
    except OSError:
        return False
    return True
