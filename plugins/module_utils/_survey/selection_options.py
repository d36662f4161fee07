# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The options of a module that choose processes and commands."""

from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.module_utils._survey.arguments import (
    seconds_of_age,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Sequence

#: The process of a task that names none. It is never ended.
NO_PROCESS = ProcessId(0, 0)


class SelectionOptions:
    """The processes and commands that a task names. Immutable.

    runs, leases: ids.
    left_behind: whether a run includes commands that have returned, and asynchronous jobs.
    dead: whether abandoned commands are selected.
    older_than: seconds of age that such a command must exceed; None for any age.
    process: a process and those below it; `NO_PROCESS` for none.
    pid_file: path of a file that names such a process; empty for none.
    """

    __slots__ = ("runs", "leases", "left_behind", "dead", "older_than", "process", "pid_file")

    def __init__(  # noqa: PLR0917 - the fields of a record
        self,
        runs: "Sequence[str]" = (),
        leases: "Sequence[str]" = (),
        left_behind: bool = False,
        dead: bool = False,
        older_than: "Optional[float]" = None,
        process: "ProcessId" = NO_PROCESS,
        pid_file: str = "",
    ) -> None:
        self.runs = runs
        self.leases = leases
        self.left_behind = left_behind
        self.dead = dead
        self.older_than = older_than
        self.process = process
        self.pid_file = pid_file

    @classmethod
    def from_params(cls, params: "Dict[str, Any]") -> "SelectionOptions":
        """Return the options of a task, from the parameters that its module has.

        Raises ValueError for a text that is no age.
        """
        pid = params.get("pid")
        return cls(
            runs=params["runs"] or (),
            leases=params.get("leases") or (),
            left_behind=bool(params.get("left_behind")),
            dead=bool(params["dead"]),
            older_than=seconds_of_age(params["older_than"]),
            process=NO_PROCESS if pid is None else ProcessId(pid, params["start"]),
            pid_file=params.get("pid_file") or "",
        )
