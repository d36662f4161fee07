# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The messages between the processes of a run.

They go over the guardian's socket, and through the pipes of couriers.

A worker or the main process sends a `Request`. The guardian answers it with the record that the
request names. A worker numbers its requests, and an answer has the number of its request. Times are
in seconds.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import KillOptions
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import JsonObject
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.json_record import (
    JsonRecord,
    MessageError,
    decode,
    is_plain,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    AlwaysOutcome,
    KillProgress,
    ReportedLease,
    RunReport,
    UnguardedConnection,
)

Answer = t.TypeVar("Answer", bound=JsonRecord)


# Workers.


@dataclasses.dataclass(frozen=True)
class LeaseTerms(JsonRecord):
    """The part of a lease that the guardian reads without opening the kill order."""

    run: str
    #: The grace period between the first signal and KILL.
    timeout: float
    #: The time for which an unreachable host is tried again.
    retry_for: float
    #: Whether the tree is left alone after a lost connection: the option on_disconnect is keep.
    keep: bool
    #: Whether an asynchronous job with poll 0 is ended with the run.
    end_async: bool
    #: Whether the command runs on this machine.
    local: bool
    #: Whether the end of its client is an order to its supervisor.
    cut: bool
    supervised: bool
    #: Whether this is a file transfer, which has no kill order.
    transfer: bool
    #: Whether the command may run the task's own work. Core's own file handling does not.
    payload: bool = True
    #: The id of the asynchronous job that the command starts.
    job: str = ""
    #: The id of the asynchronous job that the command asks for.
    polls: str = ""
    #: Whether the worker notes the moment at which the command is sent.
    notes: bool = False
    #: The path of the ssh client whose start is the moment of sending. Empty: the path is not
    #: known. None: no client shows that moment.
    client: str | None = None
    #: The time for which a transaction is left to finish; 0 if none is.
    finish_timeout: float = 0.0
    #: Whether its host has to see by a pulse that the run goes on.
    pulse: bool = False
    #: Whether the size of its client's terminal can be an order to its supervisor.
    window: bool = False
    #: Whether the command starts an asynchronous job, with or without poll 0.
    starts_job: bool = False
    #: What its connection connects to, see `address_of`. Empty: not known.
    address: str = ""
    #: The name of a connection plugin whose host may not see that the controller is gone. Empty:
    #: the host sees it, or the task is to outlive that.
    unseen_end: str = ""


@dataclasses.dataclass(frozen=True)
class KillOrderTerms(JsonRecord):
    """A kill order without its connection, as a worker writes it and a courier reads it."""

    run: str
    lease: str
    options: KillOptions
    #: Paths or names of Python interpreters to try on the host, in this order.
    interpreters: tuple[str, ...]
    #: Whether the command ran inside become. Not every command of a task with become does.
    becomes: bool
    #: Whether the command had data on its standard input, and so no pty. For a sudo that requires a
    #: terminal, this decides whether the order gets one.
    pipelined: bool
    #: Whether command lines may be reported; not for tasks with no_log.
    show_arguments: bool
    action: str = ""
    #: Arguments of the task. Some of them are secrets. Those that its module declares with no_log
    #: are masked in the host's report.
    arguments: tuple[tuple[str, str], ...] = dataclasses.field(default=(), repr=False)


class Request(JsonRecord):
    """Base of all requests to the guardian."""

    #: The name of the operation. It is beside the fields in the message.
    op: t.ClassVar[str]


@dataclasses.dataclass(frozen=True)
class LeaseRequest(Request):
    """A request for a lease. The worker sends nothing to the host before the answer.

    Answer: `LeaseAnswer`.
    """

    op = "take"
    lease: str
    host: str
    task: str
    #: `KillOrderTerms` as JSON text, with secrets in it. The guardian reads it for a pulse alone.
    order: str = dataclasses.field(repr=False)
    #: `ConnectionSpec` as JSON text, with secrets in it. The guardian forwards it unread.
    reach: str = dataclasses.field(repr=False)
    terms: LeaseTerms
    #: Time on the monotonic clock. After it the worker has sent its command without a lease.
    deadline: float | None = None
    #: Whether the task belongs to an `always` section that runs after an interruption.
    always: bool = False


@dataclasses.dataclass(frozen=True)
class LeaseAnswer(JsonRecord):
    """Whether a lease is granted."""

    granted: bool
    #: Whether the deadline of the request had passed.
    late: bool
    #: The cause of the interruption, if there was one.
    why: str


@dataclasses.dataclass(frozen=True)
class LeaseDoneNotice(Request):
    """The command has returned. No answer."""

    op = "done"
    lease: str


@dataclasses.dataclass(frozen=True)
class LeaseDetachedNotice(Request):
    """The command has returned, and has left a job that keeps running. No answer."""

    op = "detach"
    lease: str


@dataclasses.dataclass(frozen=True)
class LeaseBrokenNotice(Request):
    """The command has not returned.

    If the worker waits, it gets two answers: `LeaseBrokenReceipt`, and then
    `LeaseBrokenResult` when the kill order has been tried.
    """

    op = "broken"
    lease: str
    #: Whether the connection was lost. Otherwise the worker has given it up.
    lost: bool
    wait: bool


@dataclasses.dataclass(frozen=True)
class LeaseBrokenReceipt(JsonRecord):
    """The guardian has read that a lease is broken."""

    heard: bool = True


@dataclasses.dataclass(frozen=True)
class LeaseBrokenResult(JsonRecord):
    """A kill order has been tried."""

    #: None if the guardian does not know the lease.
    tried: ReportedLease | None


@dataclasses.dataclass(frozen=True)
class UnguardedRequest(UnguardedConnection, Request):
    """The commands of a connection can't be guarded. Answer: `UnguardedAnswer`."""

    op = "unguarded"


@dataclasses.dataclass(frozen=True)
class UnguardedAnswer(JsonRecord):
    """Whether the user has not been warned of a connection before."""

    first: bool


@dataclasses.dataclass(frozen=True)
class NewsRequest(Request):
    """A request for warnings that the user has to read now. Answer: `NewsAnswer`."""

    op = "news"


@dataclasses.dataclass(frozen=True)
class NewsAnswer(JsonRecord):
    """Warnings that no other process has printed."""

    warnings: tuple[str, ...]


# The main process.


@dataclasses.dataclass(frozen=True)
class Launcher(JsonRecord):
    """The program that has started the run. Its end is the end of the run."""

    name: str
    pid: int
    start: int


@dataclasses.dataclass(frozen=True)
class AfterKillPlan(JsonRecord):
    """The run after the kill: files, command line, and all that it needs of the main process."""

    #: As the user names them.
    files: tuple[str, ...]
    paths: tuple[str, ...]
    are_playbooks: bool
    #: Directory of the running playbook. The after-kill playbook uses the variables and roles
    #: beside it too.
    basedir: str
    arguments: tuple[str, ...]
    environment: dict[str, str]
    #: The key is the name of a pipe in the private directory, through which the secret is read.
    secrets: dict[str, str] = dataclasses.field(repr=False)
    timeout: float
    grace: float
    #: The interpreter of the main process.
    python: str
    #: The module search path of the main process.
    path: tuple[str, ...]
    #: The current directory of the main process.
    directory: str


@dataclasses.dataclass(frozen=True)
class MainProcessNotice(Request):
    """This connection belongs to the main process. There is no answer.

    It gets one byte when the run is interrupted and its clients are frozen.
    """

    op = "main"
    launcher: Launcher | None = None
    after_kill: AfterKillPlan | None = None


@dataclasses.dataclass(frozen=True)
class AfterKillPlanNotice(Request):
    """The plan of the run after the kill, or None to run nothing. No answer."""

    op = "after"
    after_kill: AfterKillPlan | None = None


@dataclasses.dataclass(frozen=True)
class AlwaysRequest(Request):
    """The interrupted run is ready for its `always` sections. Answer: `AlwaysAnswer`.

    The guardian answers when each tree that was in flight is gone, or its first kill order has
    failed.
    """

    op = "always"


@dataclasses.dataclass(frozen=True)
class UnconfirmedTree(JsonRecord):
    """A tree that was in flight, and may be alive."""

    #: The pid of the worker that has started it.
    worker: int
    #: The host of its processes; empty for processes that the worker has started on the controller.
    host: str
    #: In words for the user.
    reason: str


@dataclasses.dataclass(frozen=True)
class AlwaysAnswer(JsonRecord):
    """Whether tasks of `always` sections may start."""

    granted: bool
    unconfirmed: tuple[UnconfirmedTree, ...] = ()


@dataclasses.dataclass(frozen=True)
class ReportRequest(Request):
    """The run has ended. Answer: `RunReport`.

    If the main process waits, it gets a `KillProgress` for each change before the report.
    """

    op = "report"
    wait: bool
    #: What became of the `always` sections of each host that was in a block with one.
    always: tuple[AlwaysOutcome, ...] = ()


@dataclasses.dataclass(frozen=True)
class LeaveRequest(Request):
    """The main process continues without this guardian. Answer: `LeaveAnswer`."""

    op = "leave"


@dataclasses.dataclass(frozen=True)
class LeaveAnswer(JsonRecord):
    """The place of the socket is free for another guardian."""

    left: bool = True


# Frames.

_REQUESTS: dict[object, type[Request]] = {
    kind.op: kind
    for kind in (
        *(LeaseRequest, LeaseDoneNotice, LeaseDetachedNotice, LeaseBrokenNotice),
        *(UnguardedRequest, NewsRequest),
        *(MainProcessNotice, AfterKillPlanNotice, AlwaysRequest, ReportRequest, LeaveRequest),
    )
}


def request_frame(request: Request, number: int | None = None) -> JsonObject:
    """Return a request as the content of a frame.

    `number`: given if the requester may wait for several answers.
    """
    return {
        "op": request.op,
        **request.to_message(),
        **({} if number is None else {"number": number}),
    }


def read_request(frame: JsonObject) -> tuple[Request, int | None]:
    """Return the request in a frame, and its number.

    Raises:
        MessageError: the frame holds no request.
    """
    content = {**frame}
    op, number = content.pop("op", None), content.pop("number", None)
    kind = _REQUESTS.get(op) if isinstance(op, str) else None
    if kind is None:
        raise MessageError("a request has no known op")
    if number is not None and not is_plain(number, int):
        raise MessageError("a request has a number that is no integer")
    request = kind.from_message(content)
    if isinstance(request, LeaseRequest):
        _check_id("lease", request.lease)
        _check_id("terms.run", request.terms.run)
    return request, number


def _check_id(name: str, value: str) -> None:
    # JSON can hold a lone surrogate. It would raise where the guardian makes a cookie of the id.
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MessageError(f"LeaseRequest.{name} is no id") from None


def answer_frame(answer: JsonRecord, number: int | None) -> JsonObject:
    """Return an answer to the request of that number as the content of a frame."""
    return {**answer.to_message(), "number": number}


def read_answer(kind: type[Answer], frame: JsonObject) -> Answer:
    """Return the answer in a frame.

    Raises:
        MessageError: the answer is not of that kind.
    """
    return decode(kind, {name: value for name, value in frame.items() if name != "number"})


def report_frame(report: RunReport | KillProgress) -> JsonObject:
    """Return the answer to a `ReportRequest` as the content of a frame."""
    return {"report": report.to_message()} if isinstance(report, RunReport) else report.to_message()


def read_report(frame: JsonObject) -> RunReport | KillProgress:
    """Return the answer to a `ReportRequest` that is in a frame.

    Raises:
        MessageError: the frame holds no such answer.
    """
    return (
        RunReport.from_message(frame["report"])
        if "report" in frame
        else KillProgress.from_message(frame)
    )
