# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of this name."""

DOCUMENTATION = r"""
module: raw
short_description: Run a command line without any module, guarded, with its own way to be ended
version_added: 1.0.0
author:
  - The treekill.remote authors (@treekill)
description:
  - Like M(ansible.builtin.raw). When the run is interrupted, the command is ended with all that it
    has started, as the kill options of the task say.
  - The result has the pid of the command's root on the host and that of its parent.
  - Where the host has a Python of 3.6 or later, a supervisor stays with the command, so that
    nothing of it can escape. The host needs no Python.
options:
  cmd:
    description: The command line; there is no free form for modules of collections.
    type: str
    required: true
  executable:
    description: Absolute path of the shell to use instead of that of the connection.
    type: path
extends_documentation_fragment:
  - treekill.remote.kill.arguments
  - treekill.remote.attributes
attributes:
  check_mode:
    support: none
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
notes:
  - As with M(ansible.builtin.raw), the keyword C(environment) has no effect.
seealso:
  - module: treekill.remote.shell
  - module: ansible.builtin.raw
"""

EXAMPLES = r"""
- name: Install Python, and let an interrupted package manager finish what it has begun
  treekill.remote.raw:
    cmd: apt-get -y install python3
    kill_signal: INT
    kill_timeout: 120
  become: true
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
