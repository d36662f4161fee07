# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command that runs in this process's place: it has the terminal and gets the signals."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence


def run(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Run a command that has the terminal, and return its exit status.

    TERM and HUP are passed on, and then the command is waited for as well.
    """
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, dummy: object) -> None:
        if process:
            process.send_signal(number)
        else:
            early.append(number)

    # Set before the command starts: it may signal this process at once. The terminal itself sends
    # Ctrl-C to the command.
    handlers = {signal.SIGINT: lambda *dummy: None, signal.SIGTERM: pass_on, signal.SIGHUP: pass_on}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        process = subprocess.Popen(argv, env=environ)
        for number in early:
            process.send_signal(number)
        status = process.wait()
    finally:
        for number, disposition in before.items():
            signal.signal(number, disposition)
    return 128 - status if status < 0 else status
