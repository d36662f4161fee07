# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process of the guardian: forked once for each run, from the main process or from the first worker that needs it.

This file is private to the collection treekill.remote.

Forked, not executed: so it has all plugins, collection paths and vault secrets that the run has loaded, which a fresh interpreter would not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import gc
import logging
import os
import resource
import signal
import socket
import traceback
import typing as t

from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.module_utils._process_table import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils import _rendezvous
from ansible_collections.treekill.remote.plugins.plugin_utils._chronicle import Chronicle
from ansible_collections.treekill.remote.plugins.plugin_utils._fork import RunPipes, leave_parent
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian import Guardian
from ansible_collections.treekill.remote.plugins.plugin_utils._options import RecordOptions
from ansible_collections.treekill.remote.plugins.plugin_utils._programs import share


def ensure(run: str, main: ProcessId, pipes: RunPipes | None = None, records: RecordOptions | None = None) -> str:
    """Start the guardian of a run unless one serves it already; the path of its socket.

    Called by the main process before any other thread exists, and by a worker that finds no guardian. Two workers that
    come at once start one guardian: they take turns at a lock.

    Args:
        run: the run's id.
        main: its main process; the guardian goes when it has gone.
        pipes: of the main process, when it has a callback that made them.
        records: what it is to write down, and where; nothing without.

    Raises:
        RendezvousError, OSError: no guardian can be had. The run is not protected, and its user has to be told.
    """
    path = _rendezvous.socket_path(main)
    lock = os.open(_rendezvous.lock_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _rendezvous.answers(path):
            _start(run, main, path, pipes, Chronicle(run, main.pid, records or RecordOptions()))
    finally:
        os.close(lock)
    return path


def _start(run: str, main: ProcessId, path: str, pipes: RunPipes | None, chronicle: Chronicle) -> None:
    for warning in chronicle.begin():
        Display().warning(warning)
    # Bound before the fork: whoever asks for the guardian from now on finds it, even if it has not run yet.
    listener = _rendezvous.listen(path)
    share()
    gc.freeze()
    # As core forks its workers: where another thread of the run writes to the terminal at this moment, the child would wait for that thread for ever.
    with getattr(Display(), "_lock", contextlib.nullcontext()):
        pid = os.fork()
    if pid == 0:
        _be_guardian(run, main, listener, path, pipes, chronicle)
    listener.close()
    gc.unfreeze()


def _leave_word(path: str) -> None:
    """A guardian that ends by an error of its own says so beside its socket, with the lines of code and no values of variables."""
    with open(_rendezvous.crash_path(path), "w", encoding="utf-8") as crash:
        traceback.print_exc(file=crash)


def _silence(display: Display) -> None:
    display.verbosity = 0
    # A worker's display sends what it shows through a queue that is closed here; a warning must not fail a kill order.
    vars(display)["_final_q"] = None


def _be_guardian(run: str, main: ProcessId, listener: socket.socket, path: str, pipes: RunPipes | None, chronicle: Chronicle) -> t.NoReturn:
    """In the forked child: leave everything of the parent's that could be in its way, serve, and end without its clean-up."""
    try:
        leave_parent(signal.SIG_IGN, listener.fileno(), *(dataclasses.astuple(pipes) if pipes else ()))
        # A guardian that holds the job's stdout would keep `| tee` and a CI's log open.
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        # No automatic collection: it would touch, and so copy, every page that is shared with the main process.
        gc.disable()
        # A connection for each worker, and two descriptors for each courier: the soft limit of 1024 is too little for some hundred hosts.
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        # Its memory holds passwords: no core file. Its plugins' words go nowhere: no log that -vvvv fills with commands.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        logging.disable(logging.CRITICAL)
        _silence(Display())
        Guardian(run, main, listener, path, pipes, chronicle).serve()
    except BaseException:
        _leave_word(path)
        raise
    finally:
        os._exit(0)
