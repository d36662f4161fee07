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
import dataclasses
import typing as t

from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.json_record import JsonRecord

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._recap.verdict import Ending

#: The key of the data in an event, and in the artifacts of a job.
_KEY = "treekill"


@dataclasses.dataclass(frozen=True)
class VerdictData(JsonRecord):
    """The verdict as data. The names of the fields are its keys outside of the collection."""

    #: The id of the run.
    run: str
    #: Why it was interrupted.
    cause: str
    #: The last line of the recap.
    verdict: str
    #: How many hosts have each ending.
    counts: dict[str, int]
    #: The ending of each host.
    hosts: dict[str, str]

    @classmethod
    def of(cls, run: str, cause: str, verdict: str, hosts: t.Mapping[str, Ending]) -> VerdictData:
        """Return the data of a verdict. `hosts`: the ending of each host."""
        endings = {host: ending.label for host, ending in hosts.items()}
        return cls(run, cause, verdict, dict(collections.Counter(endings.values())), endings)


@contextlib.contextmanager
def in_event(data: VerdictData) -> t.Iterator[None]:
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
    content = data.to_message()
    with set_local(**{_KEY: content, "artifact_data": {_KEY: content}}):
        yield
