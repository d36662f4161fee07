# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process of the guardian.

It is forked once for each run, from the main process or from the first worker that needs it.

It does not execute Python again: a fresh interpreter would lack all plugins, collection paths and
vault secrets that the run has loaded.
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
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.server import Guardian
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

#: Seconds to wait for another process of the run that starts a guardian. That takes some 20 ms,
#: unless the process is frozen.
_TURN_SECONDS = 3.0

_TURN_PAUSE_SECONDS = 0.01


class _Held:
    """The journal locks that this process holds, by run.

    A run whose lock is held does not count as dead.
    """

    locks: t.ClassVar[dict[str, int]] = {}


def let_go(run: str) -> None:
    """Close all files of a run. The run is over, or this process has left it."""
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
    """Start the guardian of a run unless one serves it already. Return the path of its socket.

    The main process calls it before any other thread exists. A worker calls it if it finds no
    guardian. Two workers at once start one guardian: they take turns at a lock.

    Args:
        run: the run's id.
        main: its main process. The guardian ends after it.
        pipes: of the main process, if its callback has made them.
        records: options for journal and report. None: write neither.
        page: the memory that all processes of the run share.

    Raises:
        EndpointError, OSError: no guardian can be started. The run is not protected, and its user
            must be warned.
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
                    "another process of this run is starting a guardian, and does not finish"
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
    # It is bound before the fork. Every process that looks for the guardian finds it,
    # even if it has not run yet.
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
    """Run `be` in a process that is no child of this one.

    A program that runs many plays waits for its own children, and for no others.

    Raises:
        OSError: there can be no other process.
    """
    # Core forks its workers under this lock too. Another thread may hold the terminal's lock at
    # this moment. The child would wait for that thread for ever.
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
        # This program ignores SIGCHLD. The system has waited for the child already, and reports no
        # status.
        status = 0
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
    """Write this guardian's pid into its lock file.

    A main process that waits reads there which process it is, and whether it is stopped.
    """
    with (
        contextlib.suppress(OSError),
        open(endpoint.lock_path(path), "w", encoding="ascii") as lock,
    ):
        lock.write(str(os.getpid()))


def _leave_word(path: str) -> None:
    """Write the error that ends this guardian beside its socket.

    The text has lines of code, and no values of variables.
    """
    with open(endpoint.crash_path(path), "w", encoding="utf-8") as crash:
        traceback.print_exc(file=crash)


def _silence(display: Display) -> None:
    display.verbosity = 0
    # A worker's display prints through a queue, which is closed here. A warning must not fail a
    # kill order.
    vars(display)["_final_q"] = None


def _raise_descriptor_limit() -> None:
    """Raise the limit of open files.

    Each worker needs a connection, and each courier two descriptors. The soft limit of 1024 is too
    low for some hundred hosts.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        # The hard limit is above fs.nr_open, which was lowered since. The system accepts no limit
        # above that, even the present one.
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
    """Leave what belongs to the parent, serve, and end without the parent's clean-up.

    Runs in the forked child.
    """
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
        # Automatic collection is off. It would touch, and so copy, every page that is shared with
        # the main process.
        gc.disable()
        _raise_descriptor_limit()
        # Its memory holds passwords, so it leaves no core file. The output of its plugins is
        # dropped, because -vvvv would fill a log with commands.
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
