# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a supervisor does when its channel has broken: it ends all that is below it, and keeps the report for who may come and ask.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
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
from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import signal_alarm
from ansible_collections.treekill.remote.plugins.module_utils._process.title import set_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, NoReturn

    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.watch import (
        Supervisor,
    )

#: Seconds for which the report can be fetched. A controller that lives asks at once; for one that does not, nobody has to wait.
REPORT_SECONDS = 5.0
#: Seconds to wait for who asked to take it.
SEND_SECONDS = 5


def end_tree(supervisor: "Supervisor") -> "NoReturn":
    """End what is below the supervisor, and then itself. What only the report and the last words of the tree need is done without where it is missing."""
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
    """Have a kill pass end the tree. pipes: what holds the output of the tree open meanwhile."""
    # The pass can't do without a descriptor, and the last ones that were free may have been taken for these.
    supervisor.give_up_taken()
    while pipes and not one_is_free():
        os.close(pipes.pop())
    if supervisor.listener is not None and not one_is_free():
        supervisor.listener.close()
        supervisor.listener = None
    # A pass that has found us before we had this title does not know that we are at work.
    supervisor.give_way()
    request = read_request("%s=%s" % item for item in supervisor.options.items())
    request.arrival_timeout = 0.0
    request.below = "%d:%d:%d" % (os.getpid(), supervisor.child, own_root())
    limit_time(request)
    kill_pass = new_kill_pass(request)
    kill_pass.control.sleep = lambda seconds: sleep_and_reap(supervisor, pipes, seconds)
    report = carry_out(kill_pass, supervisor.program)
    if supervisor.listener is not None:
        keep_report(supervisor, report)


def one_is_free() -> bool:
    """Whether another descriptor can be had."""
    try:
        os.close(os.dup(0))
    except OSError:
        return False
    return True


def own_root() -> int:
    """The pid of the root above us, as our cookie tells it; 0 where the task put something else into its place."""
    try:
        return parse_cookie(os.environ.get(VARIABLE, "")).root
    except ValueError:
        return 0


def held_open() -> "List[int]":
    """The reading ends of the pipes that our output goes to. While somebody holds them, who still wants to say something while it ends can."""
    found = []
    for descriptor in (1, 2):
        try:
            found.append(os.open("/proc/self/fd/%d" % descriptor, os.O_RDONLY | os.O_NONBLOCK))
        except OSError:
            pass  # a socket, a terminal that was hung up; or there are no descriptors for it
    return found


def sleep_and_reap(supervisor: "Supervisor", pipes: "List[int]", seconds: float) -> None:
    """Wait so many seconds, or until one of our children has ended; take in what is written."""
    poll = select.poll()
    for descriptor in [supervisor.wake, *pipes]:
        poll.register(descriptor, select.POLLIN)
    for descriptor, dummy in poll.poll(seconds * 1000):
        if descriptor in pipes:
            try:
                os.read(descriptor, 65536)
            except OSError:
                pass  # nothing more for now
    supervisor.reap()


def keep_report(supervisor: "Supervisor", report: str) -> None:
    """Hand the report to whoever asks for it, from a process that is not below the root any more: that may end now."""
    try:
        if os.fork():
            return
    except OSError:
        pass  # no process to be had: then it is this one, for which the root has to wait
    try:
        serve_report(supervisor, report)
    finally:
        os._exit(1)


def serve_report(supervisor: "Supervisor", report: str) -> None:
    """Be the process that has the report, for so many seconds."""
    until = time.monotonic() + REPORT_SECONDS
    signal_alarm(
        int(REPORT_SECONDS + 2 * SEND_SECONDS)
    )  # whoever connects again and again could keep us here
    supervisor.listener.listen(
        8
    )  # from here on it is this process that others see at the other end
    # The cookie goes, lest a kill pass take this for a part of the tree.
    set_title(
        (
            "treekill: report of run %s, lease %s"
            % (supervisor.options["run"], supervisor.options["lease"])
        ).encode(),
        environment=True,
    )
    for descriptor in (1, 2):
        os.dup2(0, descriptor)
    poll = select.poll()
    poll.register(supervisor.listener.fileno(), select.POLLIN)
    while poll.poll(max(until - time.monotonic(), 0) * 1000):
        connection = _socket.socket(fileno=supervisor.listener._accept()[0])
        if peer_of(connection)[1] in (0, os.geteuid()):
            send_report(connection, report.encode("ascii"))
            until = 0.0  # who else waits at this moment gets it as well
        connection.close()


def send_report(connection: "_socket.socket", text: bytes) -> None:
    """Send it all."""
    connection.settimeout(SEND_SECONDS)
    try:
        connection.sendall(text)
    except OSError:
        pass  # who asked has gone
