# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of this name."""

DOCUMENTATION = r"""
module: script
short_description: Run a script of the controller on the host, guarded, with its own way to be ended
version_added: 1.0.0
author:
  - The treekill.remote authors (@treekill)
description:
  - Like M(ansible.builtin.script). When the run is interrupted, the script is ended with all that
    it has started, as the kill options of the task say.
  - The result has the pid of the command's root on the host and that of its parent.
  - Where the host has a Python of 3.6 or later, a supervisor stays with the script, so that nothing
    of it can escape. The host needs no Python.
options:
  cmd:
    description: Path of the script on the controller, and its arguments; there is no free form for
      modules of collections.
    type: str
    required: true
  chdir:
    description: Change into this directory on the host first; an absolute path.
    type: path
  creates:
    description: Do nothing if this path exists on the host.
    type: path
  removes:
    description: Do nothing unless this path exists on the host.
    type: path
  executable:
    description: Name or path of the program to run the script with.
    type: path
extends_documentation_fragment:
  - treekill.remote.kill.arguments
  - treekill.remote.attributes
attributes:
  check_mode:
    support: partial
    details: The script is only run when neither O(creates) nor O(removes) is given or they decide
      it, as with M(ansible.builtin.script).
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
seealso:
  - module: treekill.remote.shell
  - module: ansible.builtin.script
"""

EXAMPLES = r"""
- name: Migrate, and give the script half a minute to roll back when the run is interrupted
  treekill.remote.script:
    cmd: migrate.sh --to 42
    kill_signal: INT
    kill_timeout: 30
"""

RETURN = r"""
remote_pid:
  description: Pid of the command's root on the host, the shell that began it.
  returned: when a command was run
  type: int
  sample: 4711
remote_ppid:
  description: Pid of the root's parent on the host.
  returned: when a command was run
  type: int
  sample: 4710
rc:
  description: Its exit status.
  returned: when a command was run
  type: int
  sample: 0
stdout:
  description: Its standard output.
  returned: when a command was run
  type: str
  sample: ""
stderr:
  description: Its standard error.
  returned: when a command was run
  type: str
  sample: ""
"""
