# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The kill pass as a program: it reads words, and prints one line of report.

Its phases and their files:

- if the request says so, end the grace period of other passes for the lease: skip_grace.py
- ask a supervisor at work for its report: supervisor_client.py, supervisor_report.py
- find and freeze the tree: kill_pass.py, _tree/search.py, _tree/control.py, _tree/fork_chase.py
- hand over to root: sudo.py
- first signals, and the wait: kill_pass.py, _tree/signal_order.py
- KILL for the rest, and the reasons of survivors: sigkill.py
- asynchronous jobs and the report: job_file.py, report_line.py
"""

import os
import time

from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.kill_pass import (
    new_kill_pass,
)
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.supervisor_client import (
    PATIENCE_SECONDS,
    connect_supervisor,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
    MARK,
    read_request,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import (
    ignore_signals,
    on_skip_grace,
    signal_alarm,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Sequence

    from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.kill_pass import (
        KillPass,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
        KillRequest,
    )

#: Seconds to wait for a channel that accepts no output. After them SIGALRM ends the process, so
#: that it does not stay forever.
WRITE_SECONDS = 30
#: Seconds that a pass may take beyond the grace periods of a supervisor, of the pass and of root's
#: pass.
LONGEST_PASS_SECONDS = 90
#: Seconds of grace that are left after waiting for a supervisor in vain. Also the seconds for its
#: last output.
LEAST_SECONDS = 1.0


def detach() -> None:
    """Outlive the channel, the terminal and the parents, and get a turn on a busy host.

    The tree itself may keep the host busy.
    """
    ignore_signals()
    try:
        os.setsid()
    except OSError:
        # it leads its process group: signals reach it by pid only, and what can be ignored is
        # ignored
        pass
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        # Processes that this one starts do not inherit it.
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    except (AttributeError, OSError):
        pass  # only root may do it


def limit_time(request: "KillRequest", more: float = 0.0) -> None:
    """Let this process end when it has taken longer than any pass may.

    A look at a process can block in the kernel forever.

    more: seconds for a transaction that was seen.
    """
    signal_alarm(
        min(
            int(request.arrival_timeout + 3 * request.timeout + LONGEST_PASS_SECONDS + more),
            1 << 30,
        )
    )


def main(words: "Sequence[str]", program: "Callable[[], str]") -> None:
    """Run the pass that the words describe, and print its report.

    program: returns the text of this program, to be run again as root.
    """
    detach()
    request = read_request(words)
    limit_time(request)
    began = time.monotonic()
    try:
        kill_pass = new_kill_pass(request)
    except OSError as error:
        raise SystemExit("treekill: this host does not show its processes: %s" % error)  # noqa: B904 - the text has the error
    kill_pass.prolong = lambda: limit_time(request, request.finish_timeout)
    if request.look:
        from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.look import (
            report_look,
        )

        write("%s %s %s" % (MARK, request.nonce, report_look(request)))
        return
    if request.skip_grace:
        from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.skip_grace import (
            skip_grace_of_others,
        )

        skip_grace_of_others(request, kill_pass.control)
    # The parent of a handed-over pass waits for it. That parent may be the supervisor itself.
    supervisor = None if request.found else connect_supervisor(request, kill_pass.control.table)
    theirs = ""
    if supervisor is not None and supervisor.at_work:
        on_skip_grace(kill_pass.skip_grace)
        theirs = supervisor.await_report(
            request.timeout + PATIENCE_SECONDS,
            lambda: request.skip_grace or kill_pass.grace_skipped,
            kill_pass,
        )
        if theirs:
            # Only what the supervisor could not find can still come. It would be here by now.
            request.arrival_timeout = 0.0
        else:
            # It has died, or is no supervisor. Either way the tree has had its grace period, or a
            # part of it.
            request.timeout = min(
                request.timeout, max(request.timeout + began - time.monotonic(), LEAST_SECONDS)
            )
    text = carry_out(kill_pass, program)
    if supervisor is not None and supervisor.at_work and not (theirs or kill_pass.leaves):
        theirs = supervisor.await_report(LEAST_SECONDS, lambda: False, None)
    write(
        "%s %s %s"
        % (MARK, request.nonce, text[:-1] + ',"supervisor":' + theirs + "}" if theirs else text)
    )
    if kill_pass.leaves:
        from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.finish import (
            finish_in_background,
        )

        finish_in_background(kill_pass)


def carry_out(kill_pass: "KillPass", program: "Callable[[], str]") -> str:
    """Find the tree and end it, or let root do so. Return the report, as JSON."""
    on_skip_grace(kill_pass.skip_grace)
    request = kill_pass.request
    if request.found:
        from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.sudo import (
            resume_as_root,
        )

        resume_as_root(kill_pass)
    try:
        if kill_pass.find():
            if request.escalate and kill_pass.denied() and os.geteuid():
                from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.sudo import (  # noqa: E501
                    hand_over,
                )

                text, kill_pass.refusal = hand_over(kill_pass, program())
                if text:
                    kill_pass.control.resume_supervisors()
                    return text
            kill_pass.end()
    except BaseException:
        kill_pass.control.resume_all()
        raise
    content = kill_pass.report()
    from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report_line import (
        to_json,
    )

    return to_json(content)


def write(line: str) -> None:
    """Print the line, if there is still a reader."""
    rest = ("\n" + line + "\n").encode("ascii")
    signal_alarm(WRITE_SECONDS)
    try:
        while rest:
            rest = rest[os.write(1, rest) :]
    except OSError:
        pass  # the channel is gone: the work is done anyway
