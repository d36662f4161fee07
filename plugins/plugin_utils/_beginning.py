# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The beginning of a guarded run: its options are read, its guardian started, and its tasks put on a leash.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleOptionsError
from ansible_collections.treekill.remote.plugins.plugin_utils._guarded_run import GuardedRun
from ansible_collections.treekill.remote.plugins.plugin_utils._hook_points import Part, is_whole
from ansible_collections.treekill.remote.plugins.plugin_utils._in_flight import InFlight, use
from ansible_collections.treekill.remote.plugins.plugin_utils._missing_callback import decline
from ansible_collections.treekill.remote.plugins.plugin_utils._rendezvous import RendezvousError, WrongPeer
from ansible_collections.treekill.remote.plugins.plugin_utils._run_options import options_of_run

if t.TYPE_CHECKING:
    from ansible.parsing.dataloader import DataLoader
    from ansible.utils.display import Display
    from ansible_collections.treekill.remote.plugins.plugin_utils._after_plan import AfterPlan
    from ansible_collections.treekill.remote.plugins.plugin_utils._options import KillOptions, RecordOptions

_OPTIONS_ERROR = 5
"""The exit status with which core ends when an option is wrong."""


def options_or_exit(loader: DataLoader | None, basedir: str, display: Display) -> tuple[KillOptions, RecordOptions, AfterPlan | None]:
    """As `options_of_run`.

    Raises:
        SystemExit: an option is not allowed, and the user was told which.
    """
    try:
        return options_of_run(loader, basedir)
    except AnsibleOptionsError as error:
        display.error(str(error))
        raise SystemExit(_OPTIONS_ERROR) from error


def begin(options: KillOptions, records: RecordOptions, display: Display) -> GuardedRun | None:
    """Guard the run that starts in this process; None where the user wants none, or none can be had, which the user was told."""
    decline(options.track == "none")
    if options.track == "none":
        return None
    run = GuardedRun(options, records)
    try:
        run.start()
    except (OSError, RendezvousError, WrongPeer) as error:
        display.warning(f"treekill.remote: no guardian can be started: {error}. Nothing is guarded: what an interruption leaves will live on.")
        return None
    tracks_all = options.track == "all" and is_whole(Part.TASKS)
    run.in_flight = InFlight(tracks_all)
    use(run.in_flight)
    if tracks_all:
        from ansible_collections.treekill.remote.plugins.plugin_utils._track import track_all  # noqa: PLC0415  # stands on what was looked at here

        track_all()
    return run
