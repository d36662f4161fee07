# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a run. It goes from the guardian to the recap and to the report file."""

from __future__ import annotations

import dataclasses
import enum

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.json_record import JsonRecord
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import KillReport


class Outcome(enum.Enum):
    """The state of a kill order. The texts are part of journals and reports."""

    #: The host reported.
    CONFIRMED = "confirmed"
    #: No try reached the host.
    UNREACHABLE = "unreachable"
    #: The host was reached, or never can be. The kill pass did not run, or did not report.
    FAILED = "failed"
    #: Left alone as the options say: kill_async is false, or on_disconnect is keep.
    LEFT = "left"
    #: No order was needed, because the command had not been sent. So nothing can have been started.
    NOT_BEGUN = "not begun"
    #: A file transfer: its client was ended here, and so its server ended with it.
    BROKEN_OFF = "broken off"
    #: The first try did not reach the host, and another one follows. The lease is not closed.
    TRYING = "trying"
    #: The first try has not ended. The lease is not closed.
    UNDER_WAY = "under way"


@dataclasses.dataclass(frozen=True)
class LeaseResult(JsonRecord):
    """The result of a kill order, as a courier returns it."""

    outcome: Outcome
    #: Why it is not confirmed, in words for the user.
    reason: str = ""
    #: Report of the host, if the result is confirmed.
    report: KillReport | None = None


@dataclasses.dataclass(frozen=True)
class ReportedLease(JsonRecord):
    """A broken lease in the report of a run, with the result of its kill order."""

    host: str
    task: str
    lease: str
    outcome: Outcome
    reason: str
    report: KillReport | None
    retry_for: float
    payload: bool


@dataclasses.dataclass(frozen=True)
class UnguardedConnection(JsonRecord):
    """A connection whose commands can't be guarded, and why."""

    host: str
    connection: str
    reason: str


@dataclasses.dataclass(frozen=True)
class AfterKillProgress(JsonRecord):
    """An active run after the kill."""

    files: tuple[str, ...]
    hosts: tuple[str, ...]
    timeout: float
    #: The maximum time until its end, including its own clean-up.
    seconds: float


@dataclasses.dataclass(frozen=True)
class FinishingTransaction(JsonRecord):
    """A transaction that is left to finish."""

    host: str
    #: The name of its last process, C(dpkg) for example.
    program: str
    #: The time since the kill order was given.
    seconds: float


@dataclasses.dataclass(frozen=True)
class KillProgress(JsonRecord):
    """The state of all kill orders."""

    #: Orders whose first try has not ended.
    untried: int
    grace: float
    #: The rest of the grace period.
    left: float
    hosts: int
    hosts_done: int
    #: Whether the rest of the grace period is skipped.
    skips_grace: bool
    after_kill: AfterKillProgress | None
    #: Transactions that were seen on hosts whose orders are in hand.
    finishing: tuple[FinishingTransaction, ...] = ()


class AfterKillState(enum.Enum):
    """The state of the run after the kill."""

    #: It starts when all kill orders have been tried.
    WANTED = "wanted"
    UNDER_WAY = "under way"
    #: It has ended, or could not be started.
    ENDED = "ended"
    #: There is no host for it.
    NOWHERE = "nowhere"


class HostEnding(enum.Enum):
    """The end of the run after the kill on a host."""

    OK = "ok"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    #: No play reached the host, or the run after the kill was ended before it could report.
    NOT_REPORTED = ""


@dataclasses.dataclass(frozen=True)
class AfterKillReport(JsonRecord):
    """The run after the kill, as the report of a run has it."""

    state: AfterKillState
    files: tuple[str, ...]
    hosts: dict[str, HostEnding]
    #: Host to the reason why it was not run there.
    left_out: dict[str, str]
    seconds: float = 0.0
    #: Why it could not be started.
    error: str = ""
    #: Its exit status; negative for a signal.
    status: int = 0
    #: Why it was ended early.
    ended_by: str = ""
    #: The last lines of its output.
    output: tuple[str, ...] = ()


class AlwaysState(enum.Enum):
    """The outcome of the `always` sections that a host had to run. The texts are in reports."""

    RAN = "ran"
    #: A task of them failed.
    FAILED = "failed"
    #: They began, and did not run to their end: a further interruption, or a meta task.
    INTERRUPTED = "interrupted"
    NOT_RUN = "did not run"


@dataclasses.dataclass(frozen=True)
class AlwaysOutcome(JsonRecord):
    """The outcome of the `always` sections of one host after an interruption."""

    host: str
    state: AlwaysState
    #: In words for the user; empty if they ran.
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class RunReport(JsonRecord):
    """The report of a run.

    It holds all broken leases with the results of their kill orders, and everything that could not
    be guarded.
    """

    run: str
    #: The signal or event that interrupted the run; empty if nothing did.
    cause: str
    #: The pid of the guardian.
    guardian: int
    results: tuple[ReportedLease, ...]
    unguarded: tuple[UnguardedConnection, ...] = ()
    #: What could not be written to journal and report, and that a sweep is due.
    warnings: tuple[str, ...] = ()
    after_kill: AfterKillReport | None = None
    #: Empty without the option run_always, and if no host was in a block with `always`.
    always: tuple[AlwaysOutcome, ...] = ()
