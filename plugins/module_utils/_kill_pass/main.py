# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The kill pass as a program: words in, one line of report out.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

import os
import time

from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.kill_pass import (
    new_kill_pass,
)
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.supervisor_client import (
    PATIENCE_SECONDS,
    standing_supervisor,
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

#: Seconds to wait for a channel that takes nothing any more; then the process ends by SIGALRM rather than stay for ever.
WRITE_SECONDS = 30
#: Seconds beyond the graces (of a supervisor, of the pass, of a root that takes over) that no pass takes.
LONGEST_PASS_SECONDS = 90
#: Seconds that are left of the grace after a supervisor was waited for in vain; and for what it says at last.
LEAST_SECONDS = 1.0


def detach() -> None:
    """Outlive the channel, the terminal and the parents, and get a turn on a host that the tree keeps busy."""
    ignore_signals()
    try:
        os.setsid()
    except OSError:
        pass  # already the first of its process group: nobody signals it but by name, and what can be ignored is
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        # What this process starts does not inherit that.
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    except (AttributeError, OSError):
        pass  # root's right alone


def limit_time(request: "KillRequest") -> None:
    """Have this process end when it has taken longer than any pass may: a look at a process can block for ever in the kernel."""
    signal_alarm(
        min(int(request.arrival_timeout + 3 * request.timeout + LONGEST_PASS_SECONDS), 1 << 30)
    )


def main(words: "Sequence[str]", program: "Callable[[], str]") -> None:
    """Run the pass that the words ask for, and print its report. program: tells its own text, to be run again as root."""
    detach()
    request = read_request(words)
    limit_time(request)
    began = time.monotonic()
    try:
        kill_pass = new_kill_pass(request)
    except OSError as error:
        raise SystemExit("treekill: this host does not show its processes: %s" % error)  # noqa: B904 - the error is told
    if request.skip_grace:
        from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.skip_grace import (
            skip_grace_of_others,
        )

        skip_grace_of_others(request, kill_pass.control)
    # Whoever hands a pass over waits for it, and may be the supervisor itself.
    supervisor = None if request.found else standing_supervisor(request, kill_pass.control.table)
    theirs = ""
    if supervisor is not None and supervisor.at_work:
        on_skip_grace(kill_pass.skip_grace)
        theirs = supervisor.await_report(
            request.timeout + PATIENCE_SECONDS,
            lambda: request.skip_grace or kill_pass.grace_skipped,
        )
        if theirs:
            # Nothing can come any more but what it could not find, and that would be here by now.
            request.arrival_timeout = 0.0
        else:
            # It has died, or is none. The tree has had its grace either way, or a part of it.
            request.timeout = min(
                request.timeout, max(request.timeout + began - time.monotonic(), LEAST_SECONDS)
            )
    text = carry_out(kill_pass, program)
    if supervisor is not None and supervisor.at_work and not theirs:
        theirs = supervisor.await_report(LEAST_SECONDS, lambda: False)
    write(
        "%s %s %s"
        % (MARK, request.nonce, text[:-1] + ',"supervisor":' + theirs + "}" if theirs else text)
    )


def carry_out(kill_pass: "KillPass", program: "Callable[[], str]") -> str:
    """Find the tree and end it, or have root do so. The report, as JSON."""
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
                from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.sudo import (
                    hand_over,
                )

                text, kill_pass.refusal = hand_over(kill_pass, program())
                if text:
                    kill_pass.control.release()
                    return text
            kill_pass.end()
    except BaseException:
        kill_pass.control.thaw()
        raise
    content = kill_pass.report()
    from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report import to_json

    return to_json(content)


def write(line: str) -> None:
    """Print the line, if there is still somebody to read it."""
    rest = ("\n" + line + "\n").encode("ascii")
    signal_alarm(WRITE_SECONDS)
    try:
        while rest:
            rest = rest[os.write(1, rest) :]
    except OSError:
        pass  # the channel is gone: the work is done all the same
