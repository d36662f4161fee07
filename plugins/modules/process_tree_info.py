# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists the living processes of runs on a host, by run, lease and task."""

DOCUMENTATION = r"""
module: process_tree_info
short_description: List what is alive on a host of which run
version_added: 1.0.0
author:
  - The treekill.remote authors (@treekill)
description:
  - Lists every command of every run that has something alive on the host. Each has its process
    tree, its root, its state, and its task if its supervisor names it.
  - It only looks. It returns no facts. The command that executes the module itself is left out.
options:
  runs:
    description:
      - Only the commands of these runs, each sixteen hexadecimal digits in quotes, as the recap
        shows them.
      - The alias C(run) is deprecated, and is removed in version 3.0.0.
    type: list
    elements: str
    aliases: [run]
  older_than:
    description:
      - Only commands whose oldest process was started longer ago than this.
      - A number with V(s), V(m), V(h), V(d) or V(w) for seconds to weeks, such as V(2d). Without a
        letter it is seconds.
    type: str
  dead:
    description:
      - Only commands whose RV(trees[].state) is V(abandoned).
      - A host can't see whether a controller lives. It can see that no controller will ever hear
        again from a command. The rule is strict, and all of these conditions must hold. The root of
        the command is alive. The command has no supervisor, which would end it by itself. It was
        not started with C(on_disconnect=keep). The uppermost process that only starts the root
        (login shell, C(sudo), C(su); the root itself without them) has lost its parent, so that its
        parent is pid 1 now. That process began in an ssh session, as C(SSH_CONNECTION) in its
        environment says. Its standard output and standard error have no reader.
      - A command whose evidence can't be read, or differs, is not dead. A command over another
        connection than ssh never is.
      - What a command left behind when it returned is never dead, since it may be there on purpose.
        Neither is an asynchronous job. If you know that their run is over, name it with O(runs).
    type: bool
    default: false
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
    details: It changes nothing in any mode.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: linux
notes:
  - Needs Python 3.6 or later on the host.
  - Without C(become), it returns only what the login user may see, see RV(complete). With C(become)
    to root, it returns all.
  - Where there is no C(/proc) it reads C(ps). Then it returns neither processor time nor memory, no
    dead commands, and no tasks.
seealso:
  - module: treekill.remote.process_tree_kill
  - plugin: treekill.remote.guardian
    plugin_type: callback
"""

EXAMPLES = r"""
- name: List what is alive on the host
  treekill.remote.process_tree_info:
  become: true
  register: alive

- name: Print it as a list
  ansible.builtin.debug:
    msg: >-
      {{ item.run }} {{ item.task | default('?', true) }}: {{ item.state }},
      {{ item.processes | length }} processes, pid {{ item.root.pid }}
  loop: "{{ alive.trees }}"
  loop_control:
    label: "{{ item.lease }}"

- name: Draw the trees
  ansible.builtin.debug:
    msg: |
      {% for tree in alive.trees %}{% for process in tree.processes %}
      {{ '  ' * process.depth }}{{ process.pid }} {{ process.user }} {{ process.command }}
      {% endfor %}{% endfor %}

- name: List commands of more than an hour that no controller will ever hear from again
  treekill.remote.process_tree_info:
    dead: true
    older_than: 1h
  become: true
  register: abandoned

- name: List what one run has left, without command lines
  treekill.remote.process_tree_info:
    runs: '8c0e4010f40ee5a5'
    arguments: false
  become: true
"""

RETURN = r"""
trees:
  description: The commands with something alive, ordered by run and age.
  returned: always
  type: list
  elements: dict
  contains:
    run:
      description: Id of the run.
      type: str
      returned: always
      sample: 8c0e4010f40ee5a5
    lease:
      description: Id of the command within its run.
      type: str
      returned: always
      sample: 89abcdef
    task:
      description: Name of the task in its supervisor's title, with C(_) for blanks, and cut if it
        is long; V(null) without a supervisor.
      type: str
      returned: always
      sample: Dump_the_database
    state:
      description:
        - V(running), in flight as far as the host can see. V(abandoned), see O(dead). V(kept), in
          flight and allowed to lose its connection. V(job), an asynchronous job. V(ending), its
          supervisor is ending it. V(left), the command has returned, or was hung up, and has left
          these processes behind, daemons for example. V(unknown), its root is alive, and the
          evidence shows neither that it is in flight nor that it is abandoned.
      type: str
      returned: always
      sample: abandoned
    reason:
      description: The evidence for the state.
      type: str
      returned: always
      sample: "the ssh session that began pid 4711 is gone, and its output has no reader"
    root:
      description: Pid, parent and start of the command's root. If it is not C(alive) any more, they
        come from the cookies of its processes.
      type: dict
      returned: always
      sample: {"pid": 4711, "ppid": 1, "start": 328416, "alive": true}
    supervised:
      description: Whether it has a supervisor.
      type: bool
      returned: always
      sample: false
    users:
      description: Effective users of its processes.
      type: list
      elements: str
      returned: always
      sample: [root]
    age:
      description: Seconds since its oldest process was started.
      type: float
      returned: always
      sample: 86400.5
    cpu:
      description: Seconds of processor time that its living processes have used.
      type: float
      returned: always
      sample: 12.25
    memory:
      description: Bytes of resident memory, the sum over its processes. Shared memory counts for
        each of them.
      type: int
      returned: always
      sample: 4194304
    spared:
      description: Number of processes with C(TREEKILL=spare) in their environment, and of ssh
        servers. They are not among the processes.
      type: int
      returned: always
      sample: 0
    processes:
      description:
        - Its processes as a tree is drawn, each below its parent, with the depth of each. C(start)
          distinguishes processes that had the same pid. C(role) is V(root), V(child) or
          V(supervisor). C(status) is the letter that C(ps) shows.
      type: list
      elements: dict
      returned: always
      sample: [{"pid": 4711, "start": 328416, "ppid": 1, "user": "root", "command": "sleep 1000",
        "role": "child", "depth": 0, "status": "S", "age": 86400.5, "cpu": 0.01, "memory": 1769472}]
complete:
  description: Whether the environments of all processes could be read. If not, commands and parts
    of them may be missing.
  returned: always
  type: bool
  sample: true
unreadable:
  description: Number of processes that are listed and did not let their environment be read.
  returned: always
  type: int
  sample: 0
hidden:
  description: Whether C(/proc) is mounted with C(hidepid), so that processes of other users are not
    even listed.
  returned: always
  type: bool
  sample: false
own_runs:
  description: The runs that execute this very task, as far as their cookies show.
  returned: always
  type: list
  elements: str
  sample: [0123456789abcdef]
msg:
  description: The processes that could not be read, and what to do about it.
  returned: when RV(complete) is V(false)
  type: str
  sample: "12 processes did not let ansible read their environment: ..."
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.kill_pass import (
    process_table,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import (
    ANY_LEASE,
    check_names,
)
from ansible_collections.treekill.remote.plugins.module_utils._survey import state
from ansible_collections.treekill.remote.plugins.module_utils._survey.arguments import (
    former_name,
)
from ansible_collections.treekill.remote.plugins.module_utils._survey.rows import age_of, as_result
from ansible_collections.treekill.remote.plugins.module_utils._survey.selection_options import (
    SelectionOptions,
)
from ansible_collections.treekill.remote.plugins.module_utils._survey.survey import Survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._process.snapshot import Snapshot
    from ansible_collections.treekill.remote.plugins.module_utils._survey.commands import (
        CommandTree,
    )


def wanted(tree: "CommandTree", options: SelectionOptions, snapshot: "Snapshot") -> bool:
    """Whether the task's options select this command."""
    if options.runs and tree.run not in options.runs:
        return False
    if options.dead and tree.state != state.ABANDONED:
        return False
    return options.older_than is None or age_of(tree, snapshot) > options.older_than


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "runs": {"type": "list", "elements": "str", **former_name("run")},
            "older_than": {"type": "str"},
            "dead": {"type": "bool", "default": False},
            "arguments": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    try:
        for run in module.params["runs"] or ():
            check_names(run, ANY_LEASE)
        options = SelectionOptions.from_params(module.params)
        survey = Survey(process_table())
    except (OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    trees = [
        as_result(tree, survey.snapshot, module.params["arguments"])
        for tree in survey.trees
        if wanted(tree, options, survey.snapshot)
    ]
    module.exit_json(
        changed=False,
        trees=trees,
        own_runs=sorted(survey.own_runs),
        **survey.blind_spots(os.geteuid()),
    )


if __name__ == "__main__":
    main()
