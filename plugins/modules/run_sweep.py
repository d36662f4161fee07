# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action run_sweep, which asks the journal on the controller."""

DOCUMENTATION = r"""
module: run_sweep
short_description: End what runs that are over have left on a host
version_added: 1.1.0
author:
  - The treekill.remote authors (@treekill)
description:
  - Looks for the processes that runs have left on a host, ends them, and returns a summary.
  - It asks the journal on the controller, and notes there what is swept. On the host it runs
    M(treekill.remote.process_tree_kill), once for each run.
  - A process that survives does not fail the task. It is named in RV(alive).
options:
  runs:
    description:
      - Ids of runs that are over, as their recaps print them. Only these are swept. A command of
        them that has not returned is ended.
      - Make sure that they are over. A command of a run that is still in flight is ended as well.
    type: list
    elements: str
  leases:
    description: Only these commands of the one run in O(runs), with everything that they have left
      behind.
    type: list
    elements: str
  journal:
    description:
      - With V(ask), commands that the journal calls open on this host are ended, with everything
        that they have left behind. They are noted as swept.
      - Commands that the journal has at another address are not looked for, and stay open. Another
        inventory may have another host of the same name.
      - With V(only), nothing else is looked for. There is no connection to a host that the journal
        does not name.
      - With V(ignore), the journal is not read.
    type: str
    choices: [ask, only, ignore]
    default: ask
  dead:
    description: End every abandoned command of any run, see
      O(treekill.remote.process_tree_kill#module:dead). This is on, unless O(runs) names runs.
    type: bool
  older_than:
    description:
      - Of the abandoned commands, only those whose oldest process was started longer ago than this.
      - A number with V(s), V(m), V(h), V(d) or V(w) for seconds to weeks, such as V(2d). Without a
        letter it is seconds.
    type: str
    default: 0s
  left_behind:
    description:
      - End also what returned commands of O(runs) have left behind, and asynchronous jobs. They may
        be daemons that were started on purpose.
    type: bool
    default: false
extends_documentation_fragment:
  - treekill.remote.kill.modules
  - treekill.remote.attributes
attributes:
  check_mode:
    support: full
    details: Lists what would be ended. It signals no process, and notes nothing.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: linux
notes:
  - Needs Python 3.6 or later on the host, and C(become) to see processes of other users.
seealso:
  - module: treekill.remote.process_tree_kill
  - module: treekill.remote.run_journal_info
"""

EXAMPLES = r"""
- name: End what dead runs have left on this host
  treekill.remote.run_sweep:
  become: true
  register: sweep

- name: Print the summary
  ansible.builtin.debug:
    var: sweep.summary
"""

RETURN = r"""
summary:
  description: What was found and ended, a text for each line.
  returned: success
  type: list
  elements: str
  sample: ["run 8c0e4010f40ee5a5 (site.yml, 2026-11-22T10:15:30Z): 12 ended, 0 survivors"]
ending:
  description:
    - V(clean), nothing was found alive, or all of it was ended. V(with survivors), a process is
      alive.
    - V(left open), commands of the journal were not looked for, because their host was at another
      address. The summary names them.
    - V(seen in part), not all processes could be looked at. V(to be swept), in check mode, there is
      something to end.
  returned: success
  type: str
  sample: clean
ended:
  description: Number of processes that were ended.
  returned: success
  type: int
  sample: 12
alive:
  description: The processes that are still alive, each with pid, user, command and reason. In check
    mode, those that could not be ended.
  returned: success
  type: list
  elements: str
  sample: []
sweeps:
  description: What was looked for, one after the other. Each has C(what), and the results of
    M(treekill.remote.process_tree_kill).
  returned: always
  type: list
  elements: dict
  sample: []
"""
