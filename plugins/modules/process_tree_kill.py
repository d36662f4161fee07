# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ends process trees on a host: the kill pass as a module."""

DOCUMENTATION = r"""
module: process_tree_kill
short_description: End process trees on a host, of runs that are over or of any process
version_added: 1.0.0
author:
  - The treekill.remote authors (@treekill)
description:
  - Ends whole process trees, as the guardian does after an interruption. It stops the tree so that
    nothing can escape, signals it, and waits for the grace period. Then it kills what is left, and
    returns what became of each process.
  - Name what to end by a run, or by single commands of a run. Or name it by a process, by a pid
    file, or as all that is dead.
  - The commands of the run that executes the module are never ended, nor is a process
    above the module.
options:
  runs:
    description:
      - Ids of runs that are over, each sixteen hexadecimal digits, as the recap shows them. Ends
        their commands that have not returned.
      - Make sure that they are over. A command of a run that is still in flight is ended as well.
      - The run that executes the task is refused.
      - The alias C(run) is deprecated, and is removed in version 3.0.0.
    type: list
    elements: str
    aliases: [run]
  leases:
    description:
      - Only these commands of the one run in O(runs), each eight hexadecimal digits, with all that
        they have left behind.
      - Put them in quotes, since YAML takes some of them for numbers. The same goes for O(runs).
      - The alias C(lease) is deprecated, and is removed in version 3.0.0.
    type: list
    elements: str
    aliases: [lease]
  left_behind:
    description:
      - End also what returned commands of O(runs) have left behind, and asynchronous jobs. They may
        be daemons that were started on purpose.
      - With V(false) they are not touched, and are returned as RV(left_alone).
    type: bool
    default: false
  dead:
    description:
      - End every command of every run that no controller will ever hear from again. The rule is
        that of O(treekill.remote.process_tree_info#module:dead).
    type: bool
  older_than:
    description:
      - With O(dead), only commands whose oldest process was started longer ago than this.
      - A number with V(s), V(m), V(h), V(d) or V(w) for seconds to weeks, such as V(2d). Without a
        letter it is seconds.
    type: str
  pid:
    description:
      - End this process and all processes below it. A process that has left its parents is no
        longer below it; O(leases) finds such a process.
      - Refused for pid 1 and less, for threads and the kernel's own, and for processes above the
        module.
    type: int
  start:
    description:
      - When that process was started, in the units of the host, as
        RV(treekill.remote.process_tree_info#module:trees[].processes) and RV(gone) have it. Needed
        with O(pid), since the pid alone may belong to another process by now. A process with
        another start is not ended.
    type: int
  pid_file:
    description:
      - End the process that this file names, and all processes below it, under the rules of
        O(pid).
      - The file has to be a regular one with one name, and no symbolic link. Only its owner may be
        able to write it. It has to hold nothing but one number. It has to belong to root, or to the
        user that the process runs as.
      - If it belongs to root, no other user may be able to replace files in its directory or in one
        above it.
      - A symbolic link among the directories of the path has to belong to one of three users. They
        are root, the owner of the file, and the user that the module runs as.
      - A file that was written before its process was started is stale, and is refused. A file that
        can't be compared with its process is refused as well.
      - If there is no such file, or no such process, there is nothing to end.
    type: path
extends_documentation_fragment:
  - treekill.remote.kill.modules
  - treekill.remote.attributes
attributes:
  check_mode:
    support: full
    details: Returns what would be ended as RV(found), with the first signal of each, and what it
      could not end as RV(survivors). It signals no process.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: linux
notes:
  - Needs Python 3.6 or later on the host.
  - Without C(become), it finds and ends only processes of the login user. With C(become) to root,
    it finds and ends all.
  - Processes with C(TREEKILL=spare) in their environment, ssh servers that run as root, and the
    processes below either of them, are left alone.
  - An interruption of the run does not stop a kill that has begun.
seealso:
  - module: treekill.remote.process_tree_info
  - plugin: treekill.remote.guardian
    plugin_type: callback
"""

EXAMPLES = r"""
- name: End what an interrupted run has left
  treekill.remote.process_tree_kill:
    runs: '8c0e4010f40ee5a5'
  become: true

- name: End two commands of a run that its recap could not confirm, daemons and all
  treekill.remote.process_tree_kill:
    runs: '8c0e4010f40ee5a5'
    leases: ['89abcdef', '01234567']
  become: true

- name: End all that no controller will ever hear from again, with a minute to clean up
  treekill.remote.process_tree_kill:
    dead: true
    kill_timeout: 60
  become: true

- name: End a daemon and all that it has started
  treekill.remote.process_tree_kill:
    pid_file: /run/exampled.pid
    kill_signal: INT
  become: true

- name: List what is alive
  treekill.remote.process_tree_info:
  become: true
  register: alive

- name: End each command that uses more than 128 MiB
  treekill.remote.process_tree_kill:
    pid: "{{ item.root.pid }}"
    start: "{{ item.root.start }}"
  become: true
  loop: "{{ alive.trees | selectattr('root.alive') | selectattr('memory', '>', 134217728) }}"
  loop_control:
    label: "{{ item.root.pid }}"
"""

RETURN = r"""
found:
  description: In check mode, the processes that would be ended, parents before children, each with
    the first signal that it would get. One with C(transaction) would be left to finish.
  returned: in check mode
  type: list
  elements: dict
  sample: [{"pid": 4711, "start": 328416, "ppid": 1, "user": "root", "command": "sleep 1000",
    "role": "child", "signal": "TERM"}]
gone:
  description: The processes that were ended, each with C(ended), the last signal that it got, or
    V(exited) if it went without one. C(transaction) is V(finished) for one that was left to finish,
    and V(broken off) for one that took longer than O(finish_timeout).
  returned: always; empty in check mode
  type: list
  elements: dict
  sample: [{"pid": 4711, "start": 328416, "ppid": 1, "user": "root", "command": "sleep 1000",
    "role": "child", "ended": "TERM", "seconds": 0.02}]
survivors:
  description: The processes that are still alive, each with the reason; in check mode, those that
    could not be ended.
  returned: always
  type: list
  elements: dict
  sample: []
spared:
  description:
    - The processes with C(TREEKILL=spare) in their environment, and ssh servers that run as root.
    - An ssh server has a C(reason), and the logins that it serves are not listed.
  returned: not in check mode
  type: list
  elements: dict
  sample: []
left_alone:
  description:
    - The commands of O(runs) that were not touched, because they have returned or are asynchronous
      jobs. They have the form of RV(treekill.remote.process_tree_info#module:trees).
  returned: always
  type: list
  elements: dict
  sample: []
complete:
  description: Whether the environments of all processes could be read. If not, processes may have
    been overlooked.
  returned: always
  type: bool
  sample: true
unreadable:
  description: Number of processes that did not let their environment be read.
  returned: always
  type: int
  sample: 0
hidden:
  description: Whether C(/proc) is mounted with C(hidepid), so that processes of other users are not
    even listed.
  returned: always
  type: bool
  sample: false
msg:
  description: Why there was nothing to end, or which processes could not be read.
  returned: when there was nothing to end, or RV(complete) is V(false)
  type: str
  sample: "pid file /run/exampled.pid does not exist"
"""

import math
import os
import signal

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.kill_pass import (
    process_table,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
    USUAL,
    KillRequest,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.pid_file import process_of
from ansible_collections.treekill.remote.plugins.module_utils._survey import selected_kill
from ansible_collections.treekill.remote.plugins.module_utils._survey import (
    selection as kill_selection,
)
from ansible_collections.treekill.remote.plugins.module_utils._survey.arguments import (
    KILL_ARGUMENTS,
    former_name,
)
from ansible_collections.treekill.remote.plugins.module_utils._survey.rows import as_result
from ansible_collections.treekill.remote.plugins.module_utils._survey.selection_options import (
    SelectionOptions,
)
from ansible_collections.treekill.remote.plugins.module_utils._survey.survey import Survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessTable


def signal_number(text: str) -> int:
    """Return the number of a signal given by name or number. Raises ValueError for other texts."""
    name = text.upper()
    if name.isdigit() and 0 < int(name) < signal.NSIG:
        return int(name)
    number = getattr(signal, name if name.startswith("SIG") else "SIG" + name, None)
    if number is None or name.startswith("SIG_"):
        raise ValueError("%r is not a signal" % text)
    return int(number)


def request_of(params: "Dict[str, Any]") -> KillRequest:
    """Return the kill request of the task.

    Raises ValueError for a text that is no signal, and for a negative time.
    """
    for name in ("kill_timeout", "finish_timeout"):
        if not 0 <= params[name] < math.inf:
            raise ValueError(
                "%s is %r; a time to wait is a number of seconds, 0 or more" % (name, params[name])
            )
    finish, finish_modules = (
        (USUAL if params[name] is None else ",".join(params[name])) if params["finish"] else ""
        for name in ("finish_programs", "finish_modules")
    )
    return KillRequest(
        signal=signal_number(params["kill_signal"]),
        children=params["kill_children"],
        children_signal=signal_number(params["kill_children_signal"]),
        alone=params["kill_mode"] == "mixed",
        timeout=params["kill_timeout"],
        arrival_timeout=0.0,
        arguments=params["arguments"],
        escalate=False,
        finish=finish,
        finish_modules=finish_modules,
        finish_timeout=params["finish_timeout"],
    )


def check_options(params: "Dict[str, Any]") -> None:
    """Raise ValueError for options that mean nothing together.

    The argument spec refuses most of it. It looks only at whether an option is given, and takes
    false and an empty list for given.
    """
    named = [name for name in ("runs", "dead", "pid_file") if params[name]] + ["pid"] * (
        params["pid"] is not None
    )
    if len(named) != 1:
        raise ValueError(
            "give exactly one of runs, dead, pid and pid_file; %s"
            % (" and ".join(named) + " were given" if named else "none was given")
        )
    for name, needs in (("leases", "runs"), ("left_behind", "runs"), ("older_than", "dead")):
        if params[name] and not params[needs]:
            raise ValueError("%s requires %s" % (name, needs))


def select(
    options: SelectionOptions, survey: Survey, table: "ProcessTable"
) -> "Tuple[kill_selection.Selection, str]":
    """Return (selection, why it is empty). Raises ValueError for what is not to be ended."""
    if options.runs:
        return kill_selection.select_runs(survey.trees, options, survey.own_runs), ""
    if options.dead:
        return kill_selection.select_abandoned(
            survey.trees, survey.snapshot, options.older_than, survey.own_runs
        ), ""
    nothing = kill_selection.Selection()
    if options.pid_file:
        try:
            process = process_of(options.pid_file, table)
        except FileNotFoundError:
            return nothing, "pid file %s does not exist" % options.pid_file
        if process is None:
            return nothing, "pid file %s names a process that is gone" % options.pid_file
    else:
        pid = options.process.pid
        if pid <= 1:
            raise kill_selection.Refused("pid %d is never ended" % pid)
        process = table.process(pid)
        if process is None or process.id != options.process:
            return nothing, "pid %d is gone, or another process by now" % pid
    return kill_selection.select_process(
        process, survey.trees, survey.snapshot, os.getpid(), survey.own_runs
    ), ""


def run(module: AnsibleModule) -> "Dict[str, Any]":
    """Return the result of the module.

    Raises ValueError, and OSError if no processes can be read.
    """
    request = request_of(module.params)
    check_options(module.params)
    options = SelectionOptions.from_params(module.params)
    table = process_table()
    survey = Survey(table)
    selection, reason = select(options, survey, table)
    if not module.check_mode and selected_kill.await_supervisors(
        selection.trees, table, request.timeout
    ):
        survey = Survey(table)
        selection, reason = select(options, survey, table)
    result = dict(
        survey.blind_spots(os.geteuid()),
        left_alone=[
            as_result(tree, survey.snapshot, request.arguments) for tree in selection.left_alone
        ],
    )
    if reason:
        result["msg"] = reason
    request.arguments = request.arguments and not selection.secret
    control = selected_kill.control_of(selection, request, table)
    if module.check_mode:
        planned = selected_kill.would_end(control, request)
        return dict(result, changed=bool(planned["found"]), gone=[], **planned)
    report = (
        selected_kill.end_selection(control, request)
        if selection.tops
        else {"gone": [], "survivors": [], "spared": []}
    )
    return dict(
        result,
        changed=bool(report["gone"]),
        gone=report["gone"],
        survivors=report["survivors"],
        spared=report["spared"],
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "runs": {"type": "list", "elements": "str", **former_name("run")},
            "leases": {"type": "list", "elements": "str", **former_name("lease")},
            "left_behind": {"type": "bool", "default": False},
            "dead": {"type": "bool"},
            "older_than": {"type": "str"},
            "pid": {"type": "int"},
            "start": {"type": "int"},
            "pid_file": {"type": "path"},
            **KILL_ARGUMENTS,
        },
        mutually_exclusive=[("runs", "pid", "pid_file")],
        required_one_of=[("runs", "dead", "pid", "pid_file")],
        required_together=[("pid", "start")],
        required_by={"leases": ("runs",), "older_than": ("dead",)},
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except (OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
