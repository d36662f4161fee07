# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process of the guardian: forked once for each run, from the main process or from the first worker that needs it.

Forked, not executed: so it has all plugins, collection paths and vault secrets that the run has loaded, which a fresh interpreter would not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import gc
import logging
import os
import resource
import signal
import socket
import time
import traceback
import typing as t

from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import RecordOptions
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.guardian import Guardian
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.endpoint import EndpointError
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.cache import share
from ansible_collections.treekill.remote.plugins.plugin_utils._records.recorder import RunRecorder
from ansible_collections.treekill.remote.plugins.plugin_utils._records.writer_process import (
    await_beginning,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import (
    Fork,
    RunPipes,
    forking,
    leave_parent,
)

#: How long to wait for another process of the run that starts a guardian; it takes some 20 ms,
#: unless that process stands still.
_TURN_SECONDS = 3.0

_TURN_PAUSE_SECONDS = 0.01


class _Held:
    """Of this process: by run, the lock of its journal. A run whose lock is held is not taken for dead."""

    locks: t.ClassVar[dict[str, int]] = {}


def let_go(run: str) -> None:
    """Have no file of that run open any more: it is over, or this process has left it."""
    lock = _Held.locks.pop(run, None)
    if lock is not None:
        os.close(lock)


def ensure(
    run: str,
    main: ProcessId,
    pipes: RunPipes | None = None,
    records: RecordOptions | None = None,
    page: RunPage | None = None,
) -> str:
    """Start the guardian of a run unless one serves it already; the path of its socket.

    Called by the main process before any other thread exists, and by a worker that finds no guardian. Two workers that
    come at once start one guardian: they take turns at a lock.

    Args:
        run: the run's id.
        main: its main process; the guardian goes when it has gone.
        pipes: of the main process, when it has a callback that made them.
        records: what it is to write down, and where; nothing without.
        page: the memory that all processes of the run share.

    Raises:
        EndpointError, OSError: no guardian can be had. The run is not protected, and its user has to be told.
    """
    path = endpoint.socket_path(main)
    lock = os.open(endpoint.lock_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take_turn(lock)
        if not endpoint.answers(path):
            _start(
                run, main, path, pipes, RunRecorder(run, main.pid, records or RecordOptions()), page
            )
    finally:
        os.close(lock)
    return path


def _take_turn(lock: int) -> None:
    deadline = time.monotonic() + _TURN_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise EndpointError(
                    "another process of this run is starting a guardian, and does not come to an end"
                ) from None
            time.sleep(_TURN_PAUSE_SECONDS)
        else:
            return


def _start(
    run: str,
    main: ProcessId,
    path: str,
    pipes: RunPipes | None,
    recorder: RunRecorder,
    page: RunPage | None,
) -> None:
    # Bound before the fork: whoever asks for the guardian from now on finds it, even if it has not run yet.
    listener = endpoint.listen(path)
    starter_end, writer_end = socket.socketpair()
    share()
    gc.freeze()
    try:
        with forking(Fork.GUARDIAN):
            _fork_away(
                lambda: _be_guardian(
                    run,
                    main,
                    listener,
                    path,
                    pipes=pipes,
                    recorder=recorder,
                    page=page,
                    writer_end=writer_end,
                )
            )
    except OSError:
        starter_end.close()
        raise
    finally:
        listener.close()
        writer_end.close()
        gc.unfreeze()
    with starter_end:
        if recorder.records:
            _await_journal(run, recorder, starter_end)


def _fork_away(be: t.Callable[[], t.NoReturn]) -> None:
    """Run `be` in a process that is no child of this one: a program that runs many plays waits for its own children, and for no others.

    Raises:
        OSError: there can be no other process.
    """
    # As core forks its workers: where another thread of the run writes to the terminal at this moment, the child would wait for that thread for ever.
    with getattr(Display(), "_lock", contextlib.nullcontext()):
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            if os.fork() == 0:
                be()
            status = 0
        finally:
            os._exit(status)
    try:
        status = os.waitpid(pid, 0)[1]
    except ChildProcessError:
        status = 0  # this program ignores SIGCHLD: the system has waited, and does not tell
    if status:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _await_journal(run: str, recorder: RunRecorder, starter_end: socket.socket) -> None:
    warnings, lock = await_beginning(recorder.records, starter_end)
    for warning in warnings:
        Display().warning(warning)
    if lock is not None:
        let_go(run)
        _Held.locks[run] = lock


def _leave_pid(path: str) -> None:
    """Write this guardian's pid into its lock file: a main process that waits looks there whether the guardian is stopped."""
    with (
        contextlib.suppress(OSError),
        open(endpoint.lock_path(path), "w", encoding="ascii") as lock,
    ):
        lock.write(str(os.getpid()))


def _leave_word(path: str) -> None:
    """A guardian that ends by an error of its own says so beside its socket, with the lines of code and no values of variables."""
    with open(endpoint.crash_path(path), "w", encoding="utf-8") as crash:
        traceback.print_exc(file=crash)


def _silence(display: Display) -> None:
    display.verbosity = 0
    # A worker's display sends what it shows through a queue that is closed here; a warning must not fail a kill order.
    vars(display)["_final_q"] = None


def _raise_descriptor_limit() -> None:
    """A connection for each worker, and two descriptors for each courier: the soft limit of 1024 is too little for some hundred hosts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        # The hard limit is above fs.nr_open, which was lowered since: the system allows no limit above that, the present one included.
        with (
            contextlib.suppress(ValueError, OSError),
            open("/proc/sys/fs/nr_open", encoding="ascii") as most,
        ):
            resource.setrlimit(resource.RLIMIT_NOFILE, (int(most.read()),) * 2)


def _be_guardian(
    run: str,
    main: ProcessId,
    listener: socket.socket,
    path: str,
    *,
    pipes: RunPipes | None,
    recorder: RunRecorder,
    page: RunPage | None,
    writer_end: socket.socket,
) -> t.NoReturn:
    """In the forked child: leave everything of the parent's that could be in its way, serve, and end without its clean-up."""
    try:
        leave_parent(
            signal.SIG_IGN,
            listener.fileno(),
            writer_end.fileno(),
            *(dataclasses.astuple(pipes) if pipes else ()),
        )
        _leave_pid(path)
        # A guardian that holds the job's stdout would keep `| tee` and a CI's log open.
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        # No automatic collection: it would touch, and so copy, every page that is shared with the main process.
        gc.disable()
        _raise_descriptor_limit()
        # Its memory holds passwords: no core file. Its plugins' words go nowhere: no log that -vvvv fills with commands.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        logging.disable(logging.CRITICAL)
        _silence(Display())
        if recorder.records:
            recorder.start_writer(writer_end)
        writer_end.close()
        Guardian(run, main, listener, path, pipes, recorder, page=page).serve()
    except BaseException:
        _leave_word(path)
        raise
    finally:
        os._exit(0)
