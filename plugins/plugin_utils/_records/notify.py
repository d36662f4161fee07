# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The user's command that gets the verdict of an interrupted run.

The main process runs it after the recap. If that process is gone, the guardian does.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._recap.host_lines import Unguarded
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.recap import by_host
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.verdict import (
    endings,
    verdict,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.verdict_data import VerdictData
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import set_run_signals

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import RunReport

#: Seconds for the command. The user waits for it at the end of the run.
_SECONDS = 10.0

#: Seconds for its end after SIGKILL.
_KILL_SECONDS = 1.0


def notify(
    command: str,
    data: VerdictData,
    seconds: float = _SECONDS,
    before: t.Callable[[], None] | None = None,
) -> str:
    """Run the command with the data as one line of JSON on its standard input.

    Return why it failed, or nothing. It is killed when its time is over.

    `before`: called in its process before it begins.
    """
    try:
        words = shlex.split(command)
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # The next Ctrl-C at the terminal is not for it.
            start_new_session=True,
            preexec_fn=before,  # noqa: PLW1509 - a guardian has no other thread
        )
    except (OSError, ValueError) as error:
        return str(error)
    try:
        line = json.dumps(data.to_message()) + "\n"
        process.communicate(line.encode("ascii"), timeout=seconds)
    except subprocess.TimeoutExpired:
        late = f"it had not ended after {seconds:g} s"
        try:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(_KILL_SECONDS)
        except (PermissionError, subprocess.TimeoutExpired):
            # It has become another user, by sudo for example.
            return f"{late}, and could not be killed"
        return late
    return f"exit status {process.returncode}" if process.returncode else ""


def notify_alone(command: str, report: RunReport) -> None:
    """Run the command for a guardian whose main process is gone.

    Only that process knows which tasks were in flight without a guard. So no host counts as clean.
    """
    hosts = endings(by_host(report.results), Unguarded(report.unguarded), report.always, lost=True)
    text = verdict(hosts).text if hosts else "The main process is gone; nothing is known to run"
    notify(
        command,
        VerdictData.of(report.run, report.cause, text, hosts),
        # A guardian ignores these signals, and what it starts would ignore them too.
        before=lambda: set_run_signals(signal.SIG_DFL),
    )
