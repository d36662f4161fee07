# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The kill pass as a program: words in, one line of report out.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

import os

from ansible_collections.treekill.remote.plugins.module_utils._kill_pass import new_kill_pass
from ansible_collections.treekill.remote.plugins.module_utils._kill_request import read_request
from ansible_collections.treekill.remote.plugins.module_utils._signals import ignore_signals, on_hurry, signal_alarm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

# Seconds to wait for a channel that takes nothing any more; then the process ends by SIGALRM rather than stay for ever.
WRITE_SECONDS = 30


def detach() -> "None":
    """Outlive the channel, the terminal and the parents, and get a turn on a host that the tree keeps busy."""
    ignore_signals()
    try:
        os.setsid()
    except OSError:
        pass  # already the first of its process group: nobody signals it but by name, and what can be ignored is
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    except OSError:
        pass  # root's right alone


def main(words: "Sequence[str]", program: "str") -> "None":
    """Run the pass that the words ask for, and print its report. program: its own text, to be run again as root."""
    detach()
    request = read_request(words)
    kill_pass = new_kill_pass(request)
    on_hurry(kill_pass.hurry)
    if request.hurry:
        from ansible_collections.treekill.remote.plugins.module_utils._hurry import hurry_others

        hurry_others(request, kill_pass.control)
    if request.found:
        from ansible_collections.treekill.remote.plugins.module_utils._handover import take_over

        take_over(kill_pass)
    if kill_pass.find():
        if request.escalate and kill_pass.denied() and os.geteuid():
            from ansible_collections.treekill.remote.plugins.module_utils._handover import hand_over

            line, kill_pass.refusal = hand_over(kill_pass, program)
            if line:
                kill_pass.control.wake()
                write(line)
                return
        kill_pass.end()
    content = kill_pass.report()
    from ansible_collections.treekill.remote.plugins.module_utils._kill_report import report_line

    write(report_line(request.nonce, content))


def write(line: "str") -> "None":
    """Print the line, if there is still somebody to read it."""
    rest = ("\n" + line + "\n").encode("ascii")
    signal_alarm(WRITE_SECONDS)
    try:
        while rest:
            rest = rest[os.write(1, rest) :]
    except OSError:
        pass  # the channel is gone: the work is done all the same
