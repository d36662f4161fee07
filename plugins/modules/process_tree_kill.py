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
    nothing can escape, signals it, waits for the grace period, kills what is left, and returns what
    became of each process.
  - Name what to end by a run, by single commands of a run, by a process, by a pid file, or as all
    that is dead.
  - The commands of the run that executes the module are never ended, nor is a process that stands
    above the module.
options:
  run:
    description:
      - Ids of runs that are over, each sixteen hexadecimal digits, as the recap shows them. Ends
        their commands that have not returned.
      - Make sure that they are over. A command of a run that is still in flight is ended as well.
      - The run that executes the task is refused.
    type: list
    elements: str
  lease:
    description:
      - Only these commands of the one run in O(run), each eight hexadecimal digits, with all that
        they have left behind.
      - Put them in quotes, since YAML takes some of them for numbers. The same goes for O(run).
    type: list
    elements: str
  left_behind:
    description:
      - End also what returned commands of O(run) have left behind, and asynchronous jobs. They may
        be daemons that were started on purpose.
      - With V(false) they are not touched, and are returned as RV(left_alone).
    type: bool
    default: false
  dead:
    description:
      - End every command of every run that no controller will ever hear from again. The rule is
        that of O(treekill.remote.process_tree_info#module:dead).
    type: bool
    default: false
  older_than:
    description: With O(dead), only commands whose oldest process was started more than so many
      seconds ago.
    type: float
  pid:
    description:
      - End this process and all that stands below it. A process that has left its parents does not
        stand below it any more; O(lease) finds such a process.
      - Refused for pid 1 and less, for threads and the kernel's own, and for processes that stand
        above the module.
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
      - End the process that this file names, and all that stands below it, under the rules of
        O(pid).
      - The file has to be a regular one with one name, and no symbolic link. Only its owner may be
        able to write it. It has to hold nothing but one number. It has to belong to root, or to the
        user that the process runs as. If it belongs to root, no other user may be able to replace
        files in its directory or in one above it. A symbolic link among the directories of the path
        has to belong to root, to the owner of the file, or to the user that the module runs as.
      - A file that was written before its process was started is stale, and is refused. A file that
        can't be compared with its process is refused as well.
      - If there is no such file, or no such process, there is nothing to end.
    type: path
  kill_signal:
    description: First signal to the roots of the trees. A name, with or without C(SIG), or a
      number.
    type: str
    default: TERM
  kill_children:
    description: Signal the rest of the trees as well.
    type: bool
    default: true
  kill_children_signal:
    description: First signal to the rest of the trees. A name, with or without C(SIG), or a number.
    type: str
    default: TERM
  kill_mode:
    description:
      - Which processes get the first signal at once. With V(mixed) a program that handles the
        signal gets it alone, and what it has started when it has gone.
      - With V(tree) all of them.
    type: str
    choices: [mixed, tree]
    default: mixed
  kill_timeout:
    description: The grace period in seconds, from the first signal to SIGKILL for what is left.
    type: float
    default: 10
  arguments:
    description:
      - Return command lines. With V(false), return only names of programs, for command lines that
        hold secrets.
      - Command lines of a supervised task with C(no_log) are never returned.
    type: bool
    default: true
extends_documentation_fragment:
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
  - Processes with C(TREEKILL=spare) in their environment, ssh servers that run as root, and what
    stands below either of them, are left alone.
  - An interruption of the run does not stop a kill that has begun.
seealso:
  - module: treekill.remote.process_tree_info
  - plugin: treekill.remote.guardian
    plugin_type: callback
"""

EXAMPLES = r"""
- name: End what an interrupted run has left
  treekill.remote.process_tree_kill:
    run: '8c0e4010f40ee5a5'
  become: true

- name: End two commands of a run that its recap could not confirm, daemons and all
  treekill.remote.process_tree_kill:
    run: '8c0e4010f40ee5a5'
    lease: ['89abcdef', '01234567']
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
    the first signal that it would get.
  returned: in check mode
  type: list
  elements: dict
  sample: [{"pid": 4711, "start": 328416, "ppid": 1, "user": "root", "command": "sleep 1000",
    "role": "child", "signal": "TERM"}]
gone:
  description: The processes that were ended, each with C(ended), the last signal that it got, or
    V(exited) if it went without one.
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
    - The commands of O(run) that were not touched, because they have returned or are asynchronous
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
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import KillRequest
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.module_utils._process.pid_file import process_of
from ansible_collections.treekill.remote.plugins.module_utils._survey import selected_kill
from ansible_collections.treekill.remote.plugins.module_utils._survey import (
    selection as kill_selection,
)
from ansible_collections.treekill.remote.plugins.module_utils._survey.rows import as_result
from ansible_collections.treekill.remote.plugins.module_utils._survey.survey import Survey


def signal_number(text):
    """Return the number of a signal given by name or number. Raises ValueError for other texts."""
    name = text.upper()
    if name.isdigit() and 0 < int(name) < signal.NSIG:
        return int(name)
    number = getattr(signal, name if name.startswith("SIG") else "SIG" + name, None)
    if number is None or name.startswith("SIG_"):
        raise ValueError("%r is no signal" % text)
    return int(number)


def request_of(params):
    """Return the kill request of the task.

    Raises ValueError for a text that is no signal, and for a negative time.
    """
    if not 0 <= params["kill_timeout"] < math.inf:
        raise ValueError(
            "kill_timeout is %r; a time to wait is a number of seconds, 0 or more"
            % params["kill_timeout"]
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
    )


def check_options(params):
    """Raise ValueError for options that mean nothing together."""
    named = [name for name in ("run", "dead", "pid_file") if params[name]] + ["pid"] * (
        params["pid"] is not None
    )
    if len(named) != 1:
        raise ValueError(
            "name what to end by one of run, dead, pid and pid_file; %s"
            % (" and ".join(named) + " were given" if named else "none was given")
        )
    if (params["pid"] is None) != (params["start"] is None):
        raise ValueError(
            "pid and start belong together: a pid alone may belong to another process by now"
        )
    for name, needs in (("lease", "run"), ("left_behind", "run"), ("older_than", "dead")):
        if params[name] and not params[needs]:
            raise ValueError("%s makes sense with %s only" % (name, needs))


def select(params, survey, table):
    """Return (selection, why it is empty). Raises ValueError for what is not to be ended."""
    if params["run"]:
        return kill_selection.select_runs(survey.trees, params, survey.own_runs), ""
    if params["dead"]:
        return kill_selection.select_abandoned(
            survey.trees, survey.snapshot, params["older_than"], survey.own_runs
        ), ""
    nothing = kill_selection.Selection()
    if params["pid_file"]:
        try:
            process = process_of(params["pid_file"], table)
        except FileNotFoundError:
            return nothing, "pid file %s does not exist" % params["pid_file"]
        if process is None:
            return nothing, "pid file %s names a process that is gone" % params["pid_file"]
    else:
        if params["pid"] <= 1:
            raise kill_selection.Refused("pid %d is never ended" % params["pid"])
        process = table.process(params["pid"])
        if process is None or process.id != ProcessId(params["pid"], params["start"]):
            return nothing, "pid %d is gone, or another process by now" % params["pid"]
    return kill_selection.select_process(
        process, survey.trees, survey.snapshot, os.getpid(), survey.own_runs
    ), ""


def run(module):
    """Return the result of the module.

    Raises ValueError, and OSError if no processes can be read.
    """
    request = request_of(module.params)
    check_options(module.params)
    table = process_table()
    survey = Survey(table)
    selection, reason = select(module.params, survey, table)
    if not module.check_mode and selected_kill.await_supervisors(
        selection.trees, table, request.timeout
    ):
        survey = Survey(table)
        selection, reason = select(module.params, survey, table)
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


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "run": {"type": "list", "elements": "str"},
            "lease": {"type": "list", "elements": "str"},
            "left_behind": {"type": "bool", "default": False},
            "dead": {"type": "bool", "default": False},
            "older_than": {"type": "float"},
            "pid": {"type": "int"},
            "start": {"type": "int"},
            "pid_file": {"type": "path"},
            "kill_signal": {"type": "str", "default": "TERM"},
            "kill_children": {"type": "bool", "default": True},
            "kill_children_signal": {"type": "str", "default": "TERM"},
            "kill_mode": {"type": "str", "choices": ["mixed", "tree"], "default": "mixed"},
            "kill_timeout": {"type": "float", "default": 10},
            "arguments": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except (OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
