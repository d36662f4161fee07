# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The callback that guards a run. Playbooks need no change."""

from __future__ import annotations

DOCUMENTATION = r"""
name: guardian
type: aggregate
short_description: Ends what a run has started on its hosts when the run is interrupted
version_added: 1.0.0
author:
  - The treekill.remote authors (@treekill)
description:
  - When a run is interrupted, every process that its running tasks have started is ended,
    on every host. No other process is touched.
  - Ctrl-C, SIGTERM and SIGHUP interrupt a run. So does the end of its main process
    by SIGKILL or a crash.
  - A separate process, the guardian, holds a lease for each remote command.
    A lease that is not returned becomes a kill order.
  - After an interruption, a recap lists for each host what was ended, what survived and why,
    and what could not be confirmed.
requirements:
  - Set C(callbacks_enabled = treekill.remote.guardian) in section C([defaults]) of C(ansible.cfg),
    or set E(ANSIBLE_CALLBACKS_ENABLED).
  - For C(ansible) and C(ansible-console), set E(ANSIBLE_LOAD_CALLBACK_PLUGINS) as well.
notes:
  - ansible-core 2.19.0 to 2.19.3 replaces signal handlers at every fork.
    There the callback prints a warning and guards nothing. Version 2.19.4 and later are supported.
extends_documentation_fragment:
  - treekill.remote.kill
  - treekill.remote.kill.after_kill
  - treekill.remote.kill.always
  - treekill.remote.record
"""

EXAMPLES = r"""
ansible_cfg: |
  # Guard every run, with a grace period of 20 seconds
  [defaults]
  callbacks_enabled = treekill.remote.guardian
  [treekill]
  kill_timeout = 20
"""

import typing as t

from ansible.plugins.callback import CallbackBase
from ansible.release import __version__ as core_version
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill import outcome
from ansible_collections.treekill.remote.plugins.plugin_utils._core import api
from ansible_collections.treekill.remote.plugins.plugin_utils._core.bytecode import keep_bytecode

if t.TYPE_CHECKING:
    from ansible.executor.stats import AggregateStats
    from ansible.executor.task_result import CallbackTaskResult
    from ansible.inventory.host import Host
    from ansible.parsing.dataloader import DataLoader
    from ansible.playbook import Playbook
    from ansible.playbook.play import Play
    from ansible.playbook.play_context import PlayContext
    from ansible.playbook.task import Task
    from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.plan import AfterPlan
    from ansible_collections.treekill.remote.plugins.plugin_utils._run.guarded_run import GuardedRun

_OVERWRITES_HANDLERS = ("2.19.0", "2.19.1", "2.19.2", "2.19.3")


class CallbackModule(CallbackBase):
    """Adapts core's events to a guarded run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "treekill.remote.guardian"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        keep_bytecode()  # before most files of the collection are imported
        self._run: GuardedRun | None = None
        self._begun = False
        self._after: AfterPlan | None = None
        self._outcome = outcome.outcome_file()
        if unknown := api.warning(core_version):
            self._display.warning(unknown)

    def set_options(
        self, task_keys: t.Any = None, var_options: t.Any = None, direct: t.Any = None
    ) -> None:
        """Read no kill options here.

        Core skips a callback with an invalid option, and the run goes on unguarded.
        """

    def v2_playbook_on_start(self, playbook: Playbook) -> None:
        """Begin before any thread or worker exists. Core calls this for each playbook of a run."""
        self._begin(
            getattr(playbook, "_loader", None),
            str(getattr(playbook, "_basedir", None) or ""),
            announced=True,
        )

    def v2_playbook_on_play_start(self, play: Play) -> None:
        """Begin where no playbook has started, and warn about the play.

        The start of a play is then the first event.
        ansible-console loads its callbacks again for each of its commands, and starts no playbook.
        Neither does a program that runs plays itself.
        """
        if not self._begun:
            self._begin(getattr(play, "_loader", None), "", announced=False)
        if self._run is not None:
            self._run.warn_about(play)

    def _begin(self, loader: DataLoader | None, basedir: str, announced: bool) -> None:
        if core_version in _OVERWRITES_HANDLERS:
            if not self._begun:
                self._display.warning(
                    f"treekill.remote: ansible-core {core_version} replaces the signal handlers"
                    " of this process at every fork."
                    " Nothing is guarded: update to 2.19.4 or later."
                )
        elif api.is_supported(api.Feature.EVERYTHING):
            self._guard(loader, basedir, announced)
        self._begun = True

    def _guard(self, loader: DataLoader | None, basedir: str, announced: bool) -> None:
        # Imported late: these files fail on a core that lacks what they need.
        from ansible_collections.treekill.remote.plugins.plugin_utils._run import (  # noqa: PLC0415
            patch_cleanup,
            start_run,
        )

        found = start_run.options_or_exit(loader, basedir, self._display)
        options, records, self._after, always = found
        if not self._begun:
            until_exit = not api.is_supported(api.Feature.CONSOLE) or (
                announced and patch_cleanup.is_command_line()
            )
            self._run = run = start_run.begin(options, records, self._display, until_exit, always)
            if run is not None and not until_exit:
                patch_cleanup.at_end_of_run(self, lambda: self._end(run))
        if self._run is not None:
            self._run.set_after_kill(self._after)

    def _end(self, run: GuardedRun) -> None:
        from ansible_collections.treekill.remote.plugins.plugin_utils._run.start_run import end  # noqa: PLC0415

        self._run, self._begun = None, False
        end(run)

    def set_play_context(self, play_context: PlayContext) -> None:
        """Take the passwords that were typed, before each play."""
        if self._run is not None and self._after is not None:
            self._after.take_passwords(play_context)
            self._run.set_after_kill(self._after)

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        """Write the outcome at the end of each playbook."""
        if self._outcome:
            outcome.leave_outcome(self._outcome, stats)
        self._reraise_interrupt()

    def v2_runner_on_start(self, host: Host, task: Task) -> None:
        """Record a task, just before its worker starts."""
        if self._run is not None:
            self._run.reraise_interrupt()
            self._run.keep_alive()
            if self._run.in_flight is not None:
                self._run.in_flight.started(host, task)

    def _task_ended(
        self, result: CallbackTaskResult, *dummy_arguments: object, **dummy_keywords: object
    ) -> None:
        if self._run is not None:
            self._run.task_ended(getattr(result, "host", None) or result._host)
        self._reraise_interrupt()

    def _reraise_interrupt(self, *dummy_arguments: object, **dummy_keywords: object) -> None:
        if self._run is not None:
            self._run.reraise_interrupt()

    v2_runner_on_ok = v2_runner_on_failed = v2_runner_on_unreachable = v2_runner_on_skipped = (
        _task_ended
    )
    v2_playbook_on_task_start = v2_playbook_on_handler_task_start = _reraise_interrupt
