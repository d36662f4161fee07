# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The beginning of a guarded run: its options are read, its guardian started, and the connections of its tasks guarded.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleOptionsError
from ansible_collections.treekill.remote.plugins.plugin_utils._core.api import Feature, is_supported
from ansible_collections.treekill.remote.plugins.plugin_utils._core.missing_callback import decline
from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import (
    resolve,
    resolve_after,
    resolve_records,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.endpoint import (
    EndpointError,
    WrongPeer,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.in_flight import InFlight, use
from ansible_collections.treekill.remote.plugins.plugin_utils._run.guarded_run import GuardedRun

if t.TYPE_CHECKING:
    from ansible.parsing.dataloader import DataLoader
    from ansible.utils.display import Display
    from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.plan import AfterPlan
    from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import (
        KillOptions,
        RecordOptions,
    )

#: The exit status with which core ends when an option is wrong.
_OPTIONS_ERROR = 5


def options_or_exit(
    loader: DataLoader | None, basedir: str, display: Display
) -> tuple[KillOptions, RecordOptions, AfterPlan | None]:
    """As `options_of_run`.

    Raises:
        SystemExit: an option is not allowed, and the user was told which.
    """
    try:
        return options_of_run(loader, basedir)
    except AnsibleOptionsError as error:
        display.error(str(error))
        raise SystemExit(_OPTIONS_ERROR) from error


def options_of_run(
    loader: DataLoader | None, basedir: str
) -> tuple[KillOptions, RecordOptions, AfterPlan | None]:
    """How trees are ended, what is written down, and what is run after the kill, if anything, by a playbook in this directory; empty: the loader's own.

    Extra variables are asked for here: core hands them to callbacks since 2.20 only.

    Raises:
        AnsibleOptionsError: a value that is not allowed; the text names the option and what is.
    """
    extra = (
        _extra_variables(loader)
        if loader is not None and is_supported(Feature.EXTRA_VARIABLES)
        else {}
    )
    options = resolve(extra)
    after = None
    if loader is not None and is_supported(Feature.AFTER_KILL) and is_supported(Feature.RECAP):
        from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.plan import (  # noqa: PLC0415  # stands on what was looked at here
            make_plan,
        )

        after = make_plan(
            resolve_after(extra), loader, basedir or loader.get_basedir(), options.timeout
        )
    return options, resolve_records(extra), after


def _extra_variables(loader: DataLoader) -> dict[str, t.Any]:
    from ansible.utils.vars import load_extra_vars  # noqa: PLC0415  # as above

    return {
        name: value for name, value in load_extra_vars(loader).items() if not _is_template(value)
    }


def _is_template(value: object) -> bool:
    """Whether the value can be known only where it is used, on a host and in a task."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


class _Current:
    """Of this process: the run that is guarded, and how many runs share it. They do where a program runs plays in several threads."""

    run: GuardedRun | None = None
    shared_by = 0
    until_exit = False


def begin(
    options: KillOptions, records: RecordOptions, display: Display, until_exit: bool
) -> GuardedRun | None:
    """Guard the run that starts in this process; None where the user wants none, or none can be had, which the user was told.

    Args:
        options: how trees are ended.
        records: what is written down.
        display: where a warning goes.
        until_exit: the run ends with its process, and not before the next one begins.
    """
    decline(options.track == "none")
    if options.track == "none":
        return None
    current = _Current.run
    if current is not None and current.is_of_this_process:
        if not (_Current.until_exit or current.interrupted):
            _Current.shared_by += 1
            return current
        _finish(current)
    run = GuardedRun(options, records)
    try:
        run.start()
    except (OSError, EndpointError, WrongPeer) as error:
        display.warning(
            f"treekill.remote: no guardian can be started: {error}. Nothing is guarded: what an interruption leaves will live on."
        )
        return None
    _Current.run, _Current.shared_by, _Current.until_exit = run, 1, until_exit
    tracks_all = options.track == "all" and is_supported(Feature.TASKS)
    run.in_flight = InFlight(tracks_all)
    use(run.in_flight)
    if tracks_all:
        from ansible_collections.treekill.remote.plugins.plugin_utils._run.patch_actions import (  # noqa: PLC0415  # stands on what was looked at here
            track_all,
        )

        track_all()
    return run


def end(run: GuardedRun) -> None:
    """The run is over, and its process goes on."""
    if _Current.run is not run or not run.is_of_this_process:
        return
    _Current.shared_by -= 1
    if run.interrupted or not _Current.shared_by:
        _finish(run)


def _finish(run: GuardedRun) -> None:
    _Current.run = None
    use(None)
    if is_supported(Feature.TASKS):
        from ansible_collections.treekill.remote.plugins.plugin_utils._run.patch_actions import (  # noqa: PLC0415
            untrack,
        )

        untrack()
    run.finish()
