# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict as data, for the events of ansible-runner and for `notify_command`.

It holds names of hosts, and no command line, name of a task or reason: any of these may hold a
secret.
"""

from __future__ import annotations

import collections
import contextlib
import typing as t

from ansible.utils.display import Display

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import JsonObject
    from ansible_collections.treekill.remote.plugins.plugin_utils._recap.verdict import Ending

#: The key of the data in an event, and in the artifacts of a job.
_KEY = "treekill"


def news(run: str, cause: str, verdict: str, hosts: t.Mapping[str, Ending]) -> JsonObject:
    """Return the verdict as data.

    Args:
        run: the id of the run.
        cause: why it was interrupted.
        verdict: the last line of the recap.
        hosts: the ending of each host.
    """
    counts = collections.Counter(ending.label for ending in hosts.values())
    return {
        "run": run,
        "cause": cause,
        "verdict": verdict,
        "counts": dict(counts),
        "hosts": {host: ending.label for host, ending in hosts.items()},
    }


@contextlib.contextmanager
def in_event(content: JsonObject) -> t.Iterator[None]:
    """Put the data into the events of what is displayed meanwhile.

    ansible-runner replaces core's method to display by one that makes an event of each text. What
    is in its context becomes a part of that event. AWX stores `artifact_data` with the job, as it
    stores the data of set_stats. Elsewhere this does nothing.
    """
    scope = getattr(Display.display, "__globals__", {})
    set_local = getattr(scope.get("event_context"), "set_local", None)
    if not callable(set_local):
        yield
        return
    with set_local(**{_KEY: content, "artifact_data": {_KEY: content}}):
        yield
