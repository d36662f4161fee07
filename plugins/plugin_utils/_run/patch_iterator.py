# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The patches of ansible-core that run `always` sections after an interruption, for `run_always`.

Core asks a `PlayIterator` for the next task of each host. The task queue manager of core gets a
subclass of it here. Before an interruption the subclass does what core does. After it, each host
goes on to the `always` sections of the blocks that it is in, and to nothing else.
"""

from __future__ import annotations

import functools
import typing as t

from ansible import constants as C
from ansible.executor import task_queue_manager
from ansible.executor.play_iterator import HostState, IteratingStates, PlayIterator
from ansible.executor.task_queue_manager import TaskQueueManager
from ansible_collections.treekill.remote.plugins.plugin_utils._run.always_sections import (
    blocks_left,
    has_unrescued_failure,
    is_abandoned,
    state_of_always,
)

if t.TYPE_CHECKING:
    from ansible.inventory.host import Host
    from ansible.playbook.block import Block
    from ansible.playbook.play import Play
    from ansible.playbook.task import Task


class AlwaysOfRun(t.Protocol):
    """The parts of its run that the iterator of a play needs."""

    @property
    def is_on(self) -> bool:
        """Whether the run was interrupted, and goes on to its `always` sections."""

    def begin_play(self, iterator: AlwaysIterator, manager: TaskQueueManager) -> None:
        """Take the iterator of the play that begins."""

    def await_trees(self) -> dict[str, str]:
        """Wait until the trees in flight are gone.

        Returns:
            Host to the reason why its `always` sections must not run.
        """

    def forget_failures(self) -> None:
        """Let core count no host as failed because of the interruption.

        With `any_errors_fatal` it counts all hosts.
        """

    def check_workers(self) -> None:
        """Raise AnsibleError if a worker was killed: its result never comes."""

    def end_play(self) -> BaseException | None:
        """Return the exception with which an interrupted play ends."""


#: Core's actions that linear runs once for all hosts, without `run_once`.
_FOR_ALL_HOSTS = ("add_host", "group_by", "pause")


class _Current:
    """The run of this process that has `run_always`, and the play in it."""

    always: AlwaysOfRun | None = None
    manager: TaskQueueManager | None = None
    patched = False


class AlwaysIterator(PlayIterator):
    """The iterator of a play that may go on to its `always` sections after an interruption."""

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        self._always: AlwaysOfRun | None = None
        self._entered = False
        #: Host to the last state that was returned, and whether a task was returned with it.
        self._offered: dict[str, tuple[HostState, bool]] = {}
        #: The hosts that have got a task of an `always` section since the interruption.
        self.handed: set[str] = set()
        #: Host to the reason why its sections do not run.
        self.left_out: dict[str, str] = {}
        #: The hosts for which a meta task has ended the play since the interruption.
        self.ended: set[str] = set()
        #: The hosts on which a task of an `always` section has failed. `clear_host_errors` does not
        #: undo that.
        self._failed: set[str] = set()
        #: Host to the last task that began before the interruption. The tasks that began for all
        #: hosts when they began for one.
        self._begun: dict[str, str] = {}
        self._begun_for_all: set[str] = set()
        #: The states of hosts whose task was ended by the interruption: no block rescues that.
        self._not_rescued: list[HostState] = []
        #: The hosts that core takes for removed from the play because of the interruption.
        self._removed: list[str] = []
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self.play: Play = self._play
        if _Current.always is not None and _Current.manager is not None:
            self._always = _Current.always
            self._always.begin_play(self, _Current.manager)

    def hosts_in_blocks(self) -> list[str]:
        """Return the hosts that are in a block with `always`. A signal handler may call it."""
        return [name for name, state in [*self._host_states.items()] if self._left(name, state)]

    def hosts_in_sections(self, in_flight: t.Container[str]) -> list[str]:
        """Return the hosts whose `always` section an interruption abandons now.

        `in_flight`: the hosts with a task in flight. A signal handler may call it.
        """
        return [
            name
            for name, state in [*self._host_states.items()]
            if is_abandoned(state, name in in_flight, self._begins(name))
        ]

    def note_begun(self, name: str, task: Task) -> None:
        """Note that a worker for a task of a host is about to start."""
        if not self._is_interrupted:
            self._begun[name] = task._uuid
            if task.run_once or str(task.action).rpartition(".")[2] in _FOR_ALL_HOSTS:
                self._begun_for_all.add(task._uuid)

    def _left(self, name: str, state: HostState) -> list[Block]:
        return blocks_left(state, self._begins(name))

    def _begins(self, name: str) -> t.Callable[[Task], bool]:
        """Return whether a task that core has taken last for a host had begun."""
        return lambda task: (
            task.action in C._ACTION_META
            or self._begun.get(name) == task._uuid
            or task._uuid in self._begun_for_all
        )

    def has_failed(self, name: str) -> bool:
        """Whether a task of an `always` section of that host has failed."""
        return name in self._failed or bool(
            self._check_failed_state(self._host_states[name])  # type: ignore[no-untyped-call]
        )

    def has_left(self, name: str) -> bool:
        """Whether that host has `always` sections that it has not run to the end."""
        return bool(self._host_states[name].run_state != IteratingStates.COMPLETE)

    @property
    def _is_interrupted(self) -> bool:
        return self._always is not None and self._always.is_on

    def _has_old_task(self, name: str) -> bool:
        """Whether the task of that host is from before the interruption."""
        return self._is_interrupted and name not in self.handed

    def _enter(self) -> None:
        """Leave each host only the `always` sections of the blocks that it is in.

        Called at a moment at which core changes no state.
        """
        self.left_out = t.cast("AlwaysOfRun", self._always).await_trees()
        for name, state in [*self._host_states.items()]:
            blocks = [] if name in self.left_out else self._left(name, state)
            super().set_state_for_host(name, state_of_always(blocks))
            # Otherwise `ansible_play_hosts` is empty in the sections.
            for dummy in range(self._removed.count(name) if blocks else 0):
                self._play._removed_hosts.remove(name)
        self._removed.clear()
        for handler in self.handlers:
            handler.clear_hosts()
        self._play.max_fail_percentage = None
        self._entered = True

    # The methods of core. Strategies call them.

    def get_next_task_for_host(
        self, host: Host, peek: bool = False
    ) -> tuple[HostState, Task | None]:
        """Return the next task of a host as core does, after an interruption of `always` alone."""
        if self._always is None or not self._is_interrupted:
            return t.cast(
                "tuple[HostState, Task | None]",
                super().get_next_task_for_host(host, peek=peek),  # type: ignore[no-untyped-call]
            )
        if not self._entered:
            self._enter()
        if not self.handed:
            self._always.forget_failures()
        self._always.check_workers()
        state, task = super().get_next_task_for_host(host, peek=True)  # type: ignore[no-untyped-call]
        self._offered[host.name] = (state, task is not None)
        if task is not None:
            # The sections of one host do not end those of another, which are its clean-up.
            task.any_errors_fatal = False
        if not peek:
            self.set_state_for_host(host.name, state)
        return state, task

    def set_state_for_host(self, hostname: str, state: HostState) -> None:
        """Set the state of a host, unless a strategy had got it before the interruption."""
        if self._entered and hostname not in self.handed:
            offered, has_task = self._offered.get(hostname, (None, False))
            if state is not offered:
                return
            if has_task:
                self.handed.add(hostname)
        super().set_state_for_host(hostname, state)

    def mark_host_failed(self, host: Host) -> None:
        """Mark a host as failed, unless the interruption has ended its task.

        Otherwise core would go on to `rescue`.
        """
        if not self._has_old_task(host.name):
            super().mark_host_failed(host)  # type: ignore[no-untyped-call]
            if self._is_interrupted and self.has_failed(host.name):
                self._failed.add(host.name)
            return
        if host.name in self._host_states:
            self._not_rescued.append(self._host_states[host.name])
        if not self._entered:
            self._removed.append(host.name)
        if not self._entered or host.name not in self._host_states or not self.has_left(host.name):
            self._play._removed_hosts.append(host.name)

    def clear_host_errors(self, host: Host) -> None:
        """Clear the errors of a host, which `has_failed` still knows."""
        if self._is_interrupted and has_unrescued_failure(self._host_states[host.name]):
            self._failed.add(host.name)
        super().clear_host_errors(host)  # type: ignore[no-untyped-call]

    def set_run_state_for_host(self, hostname: str, run_state: IteratingStates) -> None:
        """Set the run state of a host. Core ends a host so for a meta task."""
        if (
            self._is_interrupted
            and run_state == IteratingStates.COMPLETE
            and (hostname not in self.handed or self.has_left(hostname))
        ):
            self.ended.add(hostname)
        super().set_run_state_for_host(hostname, run_state)

    def is_any_block_rescuing(self, state: HostState) -> bool:
        """Whether a block rescues the failure of a host in that state."""
        if any(state is one for one in self._not_rescued):
            return False
        return bool(super().is_any_block_rescuing(state))  # type: ignore[no-untyped-call]

    def add_tasks(self, host: Host, task_list: list[Block]) -> None:
        """Add included tasks, unless the include was made before the interruption."""
        if not self._has_old_task(host.name):
            super().add_tasks(host, task_list)  # type: ignore[no-untyped-call]

    def add_notification(self, hostname: str, notification: str) -> None:
        """Add the name of a handler, unless its task began before the interruption."""
        if not self._has_old_task(hostname):
            super().add_notification(hostname, notification)


def install(always: AlwaysOfRun) -> None:
    """Have the plays of this process that begin before `uninstall` tell `always` of themselves."""
    _Current.always = always
    if _Current.patched:
        return
    _Current.patched = True
    task_queue_manager.PlayIterator = AlwaysIterator  # type: ignore[attr-defined]
    original: t.Callable[..., t.Any] = TaskQueueManager.run

    @functools.wraps(original)
    def run(self: TaskQueueManager, *args: t.Any, **kwargs: t.Any) -> t.Any:
        mine = _Current.always
        if mine is None:
            return original(self, *args, **kwargs)
        _Current.manager = self
        try:
            result = original(self, *args, **kwargs)
        except Exception as error:
            ending = mine.end_play()
            if ending is not None:
                raise ending from error
            raise
        except BaseException:
            mine.end_play()
            raise
        finally:
            _Current.manager = None
        ending = mine.end_play()
        if ending is not None:
            raise ending
        return result

    TaskQueueManager.run = run  # type: ignore[method-assign]


def uninstall() -> None:
    """Leave further plays as they are.

    The patches stay and do nothing: another plugin may have wrapped them.
    """
    _Current.always = None
