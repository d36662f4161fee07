# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The beginning of a guarded run: its options, its guardian, and the guard of its tasks."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleOptionsError
from ansible_collections.treekill.remote.plugins.plugin_utils._core.api import Feature, is_supported
from ansible_collections.treekill.remote.plugins.plugin_utils._core.missing_callback import decline
from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import (
    resolve,
    resolve_after,
    resolve_always,
    resolve_records,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.endpoint import (
    EndpointError,
    WrongPeer,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.in_flight import InFlight, use
from ansible_collections.treekill.remote.plugins.plugin_utils._run.announcement import (
    announce_guard,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._run.guarded_run import GuardedRun

if t.TYPE_CHECKING:
    from ansible.parsing.dataloader import DataLoader
    from ansible.utils.display import Display
    from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.plan import AfterPlan
    from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import (
        KillOptions,
        RecordOptions,
    )

#: Core's exit status for a wrong option.
_OPTIONS_ERROR = 5


def options_or_exit(
    loader: DataLoader | None, basedir: str, display: Display
) -> tuple[KillOptions, RecordOptions, AfterPlan | None, bool]:
    """Return the options as `options_of_run` does, and `run_always`.

    Raises:
        SystemExit: a value is not allowed. The error has been shown to the user.
    """
    try:
        return (*options_of_run(loader, basedir), always_of_run(loader))
    except AnsibleOptionsError as error:
        display.error(str(error))
        raise SystemExit(_OPTIONS_ERROR) from error


def options_of_run(
    loader: DataLoader | None, basedir: str
) -> tuple[KillOptions, RecordOptions, AfterPlan | None]:
    """Return the kill options, the record options, and the plan for `after_kill` if there is one.

    `basedir` is the directory of the playbook; empty means the directory of the loader. Extra
    variables are read here: core passes them to callbacks only since 2.20.

    Raises:
        AnsibleOptionsError: a value is not allowed. The text names the option and allowed values.
    """
    extra = (
        _extra_variables(loader)
        if loader is not None and is_supported(Feature.EXTRA_VARIABLES)
        else {}
    )
    options = resolve(extra)
    after = None
    if loader is not None and is_supported(Feature.AFTER_KILL) and is_supported(Feature.RECAP):
        from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.plan import (  # noqa: PLC0415  # is_supported has checked it
            make_plan,
        )

        after = make_plan(
            resolve_after(extra), loader, basedir or loader.get_basedir(), options.timeout
        )
    return options, resolve_records(extra), after


def always_of_run(loader: DataLoader | None) -> bool:
    """Return the option `run_always`; false on a core that lacks what it needs.

    Raises AnsibleOptionsError as `options_of_run` does.
    """
    extra = (
        _extra_variables(loader)
        if loader is not None and is_supported(Feature.EXTRA_VARIABLES)
        else {}
    )
    return resolve_always(extra) and is_supported(Feature.ALWAYS) and is_supported(Feature.WORKERS)


def _extra_variables(loader: DataLoader) -> dict[str, t.Any]:
    from ansible.utils.vars import load_extra_vars  # noqa: PLC0415  # as above

    return {
        name: value for name, value in load_extra_vars(loader).items() if not _is_template(value)
    }


def _is_template(value: object) -> bool:
    """Whether the value is known only where it is used, on a host and in a task."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


class _Current:
    """The guarded run of this process, and the number of runs that share it.

    A program that runs plays in several threads has such runs.
    """

    run: GuardedRun | None = None
    shared_by = 0
    until_exit = False


def begin(
    options: KillOptions,
    records: RecordOptions,
    display: Display,
    until_exit: bool,
    always: bool = False,
) -> GuardedRun | None:
    """Guard the run that starts in this process.

    Args:
        options: the kill options.
        records: the options of report and journal.
        display: shows a warning.
        until_exit: whether the run ends with its process, and not before another run begins.
        always: whether an interrupted run goes on to its `always` sections.

    Returns:
        The guarded run. None if the user wants no guard, or if no guardian can be started; the user
        is then warned.
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
            f"treekill.remote: no guardian can be started: {error}. Nothing is guarded:"
            " processes that an interruption leaves behind keep running."
        )
        return None
    _Current.run, _Current.shared_by, _Current.until_exit = run, 1, until_exit
    tracks_all = options.track == "all" and is_supported(Feature.TASKS)
    run.in_flight = InFlight(tracks_all)
    use(run.in_flight)
    if tracks_all:
        from ansible_collections.treekill.remote.plugins.plugin_utils._run.patch_actions import (  # noqa: PLC0415  # is_supported has checked it
            track_all,
        )

        track_all()
    announce_guard(run.guardian_client.run, options, records, tracks_all, display)
    if always:
        run.run_always()
    return run


def end(run: GuardedRun) -> None:
    """End the guard of a run whose process continues."""
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
