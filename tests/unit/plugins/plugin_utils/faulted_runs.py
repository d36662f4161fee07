# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program that plays runs, each with a fault in its guardian at one of its messages.

It reads one order a line, as JSON, and answers with one line. The line has what the tasks of the
run have returned, and what it has left. A run is a fork of this program: it has a guardian, and a
fork of its own for each task, as core has. Orders:

guarded: whether there is a guardian; at: the message of the run before which the fault comes;
fault: its name in FAULTS; until: how many messages later it is over, or seconds: how much later, if
it is one that passes; journal: the directory of the journal; tasks: their names, if not the usual
ones; exits: whether the run ends with its process, as ansible-playbook does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import mmap
import os
import resource
import secrets
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.guard import (
    guard_connection,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._core import options
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian import (
    request_channel,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import Channel, to_json
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import LeaseRequest
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.connection_spec import (
    ConnectionSpec,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.request import (
    Command,
    request_for_command,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.progress import TICK_SECONDS
from ansible_collections.treekill.remote.plugins.plugin_utils._records import writer_queue
from ansible_collections.treekill.remote.plugins.plugin_utils._run import guarded_run, own_guardian
from ansible_collections.treekill.remote.plugins.plugin_utils._run.report_wait import ReportWait

#: Seconds. The guardian answers within some milliseconds, and a run with a fault must not take
#: longer than needed.
PATIENCE = 0.4

_OPTIONS = {"TREEKILL_KILL_TIMEOUT": "0.2"}


def _send_to(number: signal.Signals) -> Callable[[_Fault], None]:
    return lambda fault: fault.signal(fault.guardian, number)


def _limit(what: int, most: int) -> Callable[[_Fault], None]:
    return lambda fault: fault.limit(fault.guardian, what, most)


def _stop_writer(fault: _Fault) -> None:
    for writer in fault.writers:
        fault.signal(writer, signal.SIGSTOP)


def _continue_writer(fault: _Fault) -> None:
    for writer in fault.writers:
        fault.signal(writer, signal.SIGCONT)


def _kill_writer(fault: _Fault) -> None:
    for writer in fault.writers:
        fault.signal(writer, signal.SIGKILL)


def _fill_disk(fault: _Fault) -> None:
    # Python ignores SIGXFSZ, so a write fails, as on a full disk.
    for writer in fault.writers:
        fault.limit(writer, resource.RLIMIT_FSIZE, 0)


def _remove_journal(fault: _Fault) -> None:
    shutil.rmtree(fault.journal, ignore_errors=True)


def _freeze(fault: _Fault) -> None:
    subprocess.run(["fsfreeze", "--freeze", fault.journal], check=False)


def _unfreeze(fault: _Fault) -> None:
    subprocess.run(["fsfreeze", "--unfreeze", fault.journal], check=False)


def _remove_socket(fault: _Fault) -> None:
    shutil.rmtree(os.path.dirname(os.environ[endpoint.ENVIRONMENT]), ignore_errors=True)


def _nothing(fault: _Fault) -> None:
    """Do nothing: the fault does not pass."""


#: What happens, and how it passes.
FAULTS: dict[str, tuple[Callable[[_Fault], None], Callable[[_Fault], None]]] = {
    "guardian stopped": (_send_to(signal.SIGSTOP), _send_to(signal.SIGCONT)),
    "guardian killed": (_send_to(signal.SIGKILL), _nothing),
    "guardian slowed": (
        lambda fault: fault.slow_down(),
        lambda fault: fault.signal(fault.slowing, signal.SIGKILL),
    ),
    "no descriptors": (_limit(resource.RLIMIT_NOFILE, 0), _limit(resource.RLIMIT_NOFILE, 1024)),
    "no memory": (
        _limit(resource.RLIMIT_AS, 0),
        _limit(resource.RLIMIT_AS, resource.RLIM_INFINITY),
    ),
    "disk standing still": (_stop_writer, _continue_writer),
    "disk full": (_fill_disk, _nothing),
    "journal removed": (_remove_journal, _nothing),
    "writer killed": (_kill_writer, _nothing),
    "socket removed": (_remove_socket, _nothing),
}


#: A fault that needs a file system of its own for the journal, and root.
FROZEN = {"file system frozen": (_freeze, _unfreeze)}


class _Fault:
    """Counter of the messages of all processes of a run. It does what is ordered at one of them."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.journal: str = order["journal"]
        self._begin, self._end = {**FAULTS, **FROZEN}.get(
            order.get("fault", ""), (_nothing, _nothing)
        )
        self._at, self._until = order.get("at", -1), order.get("at", -1) + order.get("until", 0)
        self._seconds: float | None = order.get("seconds")
        self._count = mmap.mmap(-1, mmap.PAGESIZE)
        self.guardian, self.slowing = 0, 0
        self.writers: list[int] = []
        self.clean_up: list[int] = []

    def find(self) -> None:
        """Find the processes of the guardian and its writer."""
        path = os.environ[endpoint.ENVIRONMENT]
        with open("/proc/net/unix", encoding="utf-8") as table:
            inodes = {
                f"socket:[{words[6]}]"
                for words in map(str.split, table)
                if words[-1] == path and int(words[3], 16) & 0x10000
            }
        self.guardian = next(
            pid for pid in _pids() if pid != os.getpid() and inodes & _open_at(pid)
        )
        self.writers = _children(self.guardian)
        self.clean_up = [self.guardian, *self.writers]

    @property
    def messages(self) -> int:
        return int(struct.unpack_from("=q", self._count)[0])

    @property
    def vain_waits(self) -> int:
        """Return how often a process of the run has waited in vain for an answer in time."""
        return int(struct.unpack_from("=q", self._count, 8)[0])

    def count_vain_wait(self) -> None:
        """Count, and print what the guardian is doing."""
        struct.pack_into("=q", self._count, 8, self.vain_waits + 1)
        print(f"waited in vain at message {self.messages}", file=sys.stderr)
        traceback.print_stack()
        for name in ("stat", "wchan", "syscall", "stack"):
            with contextlib.suppress(OSError):
                print(name, Path(f"/proc/{self.guardian}/{name}").read_text(), file=sys.stderr)

    def count(self) -> None:
        """Count, before each message."""
        now = self.messages
        struct.pack_into("=q", self._count, 0, now + 1)
        if now == self._at:
            self._begin(self)
            if self._seconds is not None:
                self._end_later(self._seconds)
        if now == self._until:
            self._end(self)

    def signal(self, pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if pid:
                os.kill(pid, number)

    def limit(self, pid: int, what: int, most: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, what, (most, resource.prlimit(pid, what)[1]))

    def slow_down(self) -> None:
        """Let it run for one hundredth of the time, until the fault or the run is over."""
        main, guardian = os.getpid(), self.guardian
        pid = os.fork()
        if pid == 0:
            try:
                while os.getppid() == main:
                    os.kill(guardian, signal.SIGSTOP)
                    time.sleep(0.05)
                    os.kill(guardian, signal.SIGCONT)
                    time.sleep(0.0005)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(guardian, signal.SIGCONT)
                os._exit(0)
        self.slowing = pid

    def _end_later(self, seconds: float) -> None:
        if os.fork() == 0:
            try:
                time.sleep(seconds)
                self._end(self)
            finally:
                os._exit(0)

    def end(self) -> None:
        """Continue all that is stopped."""
        for pid in self.clean_up:
            self.signal(pid, signal.SIGCONT)


def _pids() -> Iterator[int]:
    return map(int, filter(str.isdigit, os.listdir("/proc")))


def _open_at(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return list(map(int, children.read().split()))


def _watch_messages(fault: _Fault) -> None:
    send, receive, next_answer = Channel.send, Channel.receive, ReportWait.next_answer

    def counted_send(self: Channel, message: dict[str, Any]) -> None:
        fault.count()
        send(self, message)

    def counted_receive(self: Channel) -> dict[str, Any]:
        fault.count()
        try:
            return receive(self)
        except TimeoutError:
            # The wait for the report looks at the clock sometimes. It counts only if it ends in
            # vain.
            if (self.socket.gettimeout() or 0) > TICK_SECONDS:
                fault.count_vain_wait()
            raise

    def counted_answer(self: ReportWait, *arguments: Any, **keywords: Any) -> Any:
        answer = next_answer(self, *arguments, **keywords)
        if answer is None:
            fault.count_vain_wait()
        return answer

    Channel.send, Channel.receive, ReportWait.next_answer = (
        counted_send,
        counted_receive,
        counted_answer,
    )  # type: ignore[method-assign]


# The tasks. Each is run in a process of its own, by `run`, which runs a command and returns its
# status and output.

Runner = Callable[..., list[Any]]


def _a_command(run: Runner, client: Any) -> list[Any]:
    return run("echo out; echo err >&2; exit 3")


def _a_loop(run: Runner, client: Any) -> list[Any]:
    return [run(f"echo {number}") for number in range(3)]


def _reads(run: Runner, client: Any) -> list[Any]:
    return run("cat; sleep 0.4", "what it reads\n")


def _leaves_a_process(run: Runner, client: Any) -> list[Any]:
    """Leave a daemon on purpose, and the file that names it."""
    return run("sleep 600 >/dev/null 2>&1 </dev/null & echo $! >> left; echo started")


def _has_a_job(run: Runner, client: Any) -> list[Any]:
    """Poll an asynchronous job, whose lease lasts while other commands come and go."""
    lease = secrets.token_hex(4)
    held = client is not None and client.take_lease(_request(client, lease))
    # A kill order for that lease ends it.
    first = run(
        f"TREEKILL={client.run if client else 'none'}/{lease}/1/1 sleep 600 >/dev/null 2>&1 "
        "</dev/null & echo $! >> left"
    )
    polls = [run("echo not yet") for dummy in range(3)]
    if held:
        client.done(lease)
    return [first, polls]


def _detaches(run: Runner, client: Any) -> list[Any]:
    lease = secrets.token_hex(4)
    held = client is not None and client.take_lease(_request(client, lease, end_async=True))
    # A kill order for that lease ends it.
    first = run(
        f"TREEKILL={client.run if client else 'none'}/{lease}/1/1 sleep 600 >/dev/null 2>&1 "
        "</dev/null & echo $! >> left"
    )
    if held:
        client.detach_lease(lease)
    return first


def _request(client: Any, lease: str, end_async: bool = False) -> LeaseRequest:
    connection = _connection()
    reach = to_json(ConnectionSpec.from_connection(connection).to_message())
    command = Command(lease, becomes=False, pipelined=False, supervised=False)
    request = request_for_command(client.run, _task(), connection, command, reach)
    return dataclasses.replace(
        request, terms=dataclasses.replace(request.terms, end_async=end_async)
    )


def _many(run: Runner, client: Any) -> list[Any]:
    return [run(f"echo {number}") for number in range(30)]


TASKS = (_a_command, _a_loop, _reads, _has_a_job, _leaves_a_process, _detaches, _a_command)


def _connection() -> Any:
    context = PlayContext()
    context.executable = "/bin/sh"
    connection = connection_loader.get("local", context, new_stdin=None)
    connection.set_options(var_options={})
    return connection


def _task() -> GuardedTask:
    return GuardedTask(
        host="here", name="a task", options=options.resolve(), interpreters=(), show_arguments=True
    )


def _in_a_worker(task: Callable[[Runner, Any], list[Any]], client: Any) -> list[Any]:
    """Return what it returns, from a worker."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read_end)
            connection = _connection()
            if client is not None:
                guard_connection(connection, client, _task())

            def run(command: str, stdin: str | None = None) -> list[Any]:
                form = f"/bin/sh -c {shlex.quote(command)}"
                status, out, err = connection.exec_command(
                    form, in_data=stdin.encode() if stdin else None, sudoable=False
                )
                return [status, out.decode(), err.decode()]

            os.write(write_end, json.dumps(task(run, client)).encode())
        except BaseException as error:  # any exception is no result of the task
            os.write(write_end, json.dumps(f"{type(error).__name__}: {error}").encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with open(read_end, encoding="utf-8") as answer:
        result: list[Any] = json.loads(answer.read() or '"it was ended"')
    os.waitpid(pid, 0)
    return result


def _tasks(order: dict[str, Any]) -> Sequence[Callable[[Runner, Any], list[Any]]]:
    return [globals()[f"_{name}"] for name in order["tasks"]] if "tasks" in order else TASKS


def _a_run(order: dict[str, Any]) -> dict[str, Any]:
    """Play a run in a process of its own, in a directory of its own."""
    fault, guarded, client = _Fault(order), None, None
    request_channel.ANSWER_SECONDS = PATIENCE
    own_guardian._REPLY_SECONDS = own_guardian._UNRESPONSIVE_REPLY_SECONDS = PATIENCE
    # Shorter than the wait for the report, as always.
    writer_queue.DISK_SECONDS = PATIENCE / 4
    if order["guarded"]:
        guarded = guarded_run.GuardedRun(
            options.resolve(),
            options.RecordOptions(
                journal_path=order["journal"], journal_days=1, journal_size=1 << 20
            ),
        )
        guarded.start()
        client = guarded.guardian_client
        fault.find()
        _watch_messages(fault)
    answers = []
    try:
        for task in _tasks(order):
            if guarded is not None:
                guarded.keep_alive()
            answers.append(_in_a_worker(task, client))
        if guarded is not None and order.get("exits"):
            guarded._conclude()
        elif guarded is not None:
            guarded.finish()
    finally:
        fault.end()
    pids = []
    with contextlib.suppress(FileNotFoundError), open("left", encoding="ascii") as left:
        pids = [int(line) for line in left]
    return {
        "results": answers,
        "vain_waits": fault.vain_waits,
        "messages": fault.messages,
        "left": pids,
        "processes": fault.clean_up,
    }


def _serve(order: dict[str, Any]) -> None:
    read_end, write_end = os.pipe()
    with tempfile.TemporaryDirectory(prefix="run-") as directory:
        pid = os.fork()
        if pid == 0:
            try:
                os.close(read_end)
                os.chdir(directory)
                os.write(write_end, json.dumps(_a_run(order)).encode())
            finally:
                sys.stderr.flush()
                os._exit(0)
        os.close(write_end)
        with open(read_end, encoding="utf-8") as answer:
            said = answer.read()
        status = os.waitpid(pid, 0)[1]
    print(said if said and status == 0 else json.dumps({"died": status}), flush=True)


if __name__ == "__main__":
    os.environ.update(_OPTIONS)
    for line in sys.stdin:
        _serve(json.loads(line))
