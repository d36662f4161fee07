# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ends what a run has left on a host: the kill pass as a module."""

DOCUMENTATION = r"""
module: process_tree_kill
short_description: End the processes that a run has left on a host
version_added: 1.0.0
author:
  - The treekill.remote authors (@treekill)
description:
  - Finds every process on the host that carries the cookie of a run, or stands below one that does, and ends it, in the same way as the
    guardian does after an interruption.
  - For runs that are over. What an interrupted run could not end, because a host was not to be reached, is ended with this, and its recap prints
    the command for it.
options:
  run:
    description: Id of the run, sixteen hexadecimal digits, as the recap tells it.
    type: str
    required: true
  lease:
    description: Only this one remote command of the run, eight hexadecimal digits.
    type: str
  kill_signal:
    description: First signal to the roots of the trees. A name, with or without C(SIG), or a number.
    type: str
    default: TERM
  kill_children:
    description: Signal the rest of the trees as well.
    type: bool
    default: true
  kill_children_signal:
    description: First signal to the rest of the trees.
    type: str
    default: TERM
  kill_timeout:
    description: The grace in seconds, from the first signal to SIGKILL for what is left.
    type: float
    default: 10
extends_documentation_fragment:
  - treekill.remote.attributes
attributes:
  check_mode:
    support: full
    details: Returns what would be ended as RV(found), and signals nobody.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: linux
notes:
  - Needs Python 3.6 or later on the host.
  - Without C(become) only processes of the login user are found and ended; with it, all.
seealso:
  - plugin: treekill.remote.guardian
    plugin_type: callback
"""

EXAMPLES = r"""
- name: End what an interrupted run has left
  treekill.remote.process_tree_kill:
    run: 8c0e4010f40ee5a5
  become: true
"""

RETURN = r"""
found:
  description: In check mode, the processes that would be ended, parents before children.
  returned: in check mode
  type: list
  elements: dict
  sample: [{"pid": 4711, "ppid": 1, "command": "[sleep]"}]
gone:
  description: The processes that were ended, each with V(ended), the last signal that it got.
  returned: not in check mode
  type: list
  elements: dict
  sample: [{"pid": 4711, "start": 328416, "ppid": 1, "user": "root", "command": "sleep 1000", "role": "child", "ended": "TERM", "seconds": 0.02}]
survivors:
  description: The processes that are still alive, each with the reason.
  returned: not in check mode
  type: list
  elements: dict
  sample: []
spared:
  description: The processes that C(TREEKILL=spare) in their environment has taken out.
  returned: not in check mode
  type: list
  elements: dict
  sample: []
"""

import os
import signal

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.treekill.remote.plugins.module_utils._cookie import ANY_LEASE, CookieMatch
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass import new_kill_pass
from ansible_collections.treekill.remote.plugins.module_utils._kill_request import KillRequest
from ansible_collections.treekill.remote.plugins.module_utils._process_table import ProcTable
from ansible_collections.treekill.remote.plugins.module_utils._process_tree import TreeSearch


def signal_number(text):
    """The number of a signal given by name or number. Raises ValueError for one that is none."""
    name = text.upper()
    if name.isdigit() and 0 < int(name) < signal.NSIG:
        return int(name)
    number = getattr(signal, name if name.startswith("SIG") else "SIG" + name, None)
    if number is None:
        raise ValueError("%r is no signal" % text)
    return int(number)


def request_of(params):
    """What the task asks for. Raises ValueError for an id or a signal that is none, or a negative time."""
    if params["kill_timeout"] < 0:
        raise ValueError("kill_timeout is %r; a time to wait is 0 seconds or more" % params["kill_timeout"])
    return KillRequest(
        params["run"],
        params["lease"] or ANY_LEASE,
        nonce="module",
        signal=signal_number(params["kill_signal"]),
        children=params["kill_children"],
        children_signal=signal_number(params["kill_children_signal"]),
        timeout=params["kill_timeout"],
        settle=0.0,
        escalate=False,
    )


def would_end(request):
    """What the pass would find, without touching anybody."""
    search = TreeSearch(CookieMatch(request.run, request.lease), ProcTable(), os.getpid())
    search.scan()
    return [{"pid": process.id.pid, "ppid": process.ppid, "command": "[%s]" % process.comm} for process in search.members.values()]


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "run": {"type": "str", "required": True},
            "lease": {"type": "str"},
            "kill_signal": {"type": "str", "default": "TERM"},
            "kill_children": {"type": "bool", "default": True},
            "kill_children_signal": {"type": "str", "default": "TERM"},
            "kill_timeout": {"type": "float", "default": 10},
        },
        supports_check_mode=True,
    )
    try:
        request = request_of(module.params)
        kill_pass = new_kill_pass(request)
    except ValueError as error:
        module.fail_json(msg=str(error))
    if module.check_mode:
        found = would_end(request)
        module.exit_json(changed=bool(found), found=found, gone=[], survivors=[])
    if kill_pass.find():
        kill_pass.end()
    report = kill_pass.report()
    module.exit_json(changed=bool(report["gone"]), gone=report["gone"], survivors=report["survivors"], spared=report["spared"])


if __name__ == "__main__":
    main()
