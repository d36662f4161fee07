# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of this name."""

DOCUMENTATION = r"""
module: shell
short_description: Run a shell command line, guarded, with its own way to be ended
version_added: 1.0.0
author:
  - The treekill.remote authors (@treekill)
description:
  - Like M(ansible.builtin.shell). When the run is interrupted, the command is ended with all that
    it has started, as the kill options of the task say.
  - The result has the pid of the command's root on the host and that of its parent.
  - With the callback P(treekill.remote.guardian#callback) the builtin module is guarded as well.
    This one is for tasks with their own signal or grace period, and for tasks that need the pid of
    the remote process.
options:
  cmd:
    description: The command line for the shell; there is no free form for modules of collections.
    type: str
    required: true
  chdir:
    description: Change into this directory first.
    type: path
  creates:
    description: Do nothing if this path, or one that matches this pattern, exists.
    type: path
  removes:
    description: Do nothing unless this path, or one that matches this pattern, exists.
    type: path
  stdin:
    description: What the command reads from its standard input.
    type: str
  stdin_add_newline:
    description: End O(stdin) with a newline.
    type: bool
    default: true
  strip_empty_ends:
    description: Take empty lines off the end of stdout and stderr in the result.
    type: bool
    default: true
  executable:
    description: Absolute path of the shell to use instead of C(/bin/sh).
    type: path
extends_documentation_fragment:
  - treekill.remote.kill.arguments
  - treekill.remote.attributes
attributes:
  check_mode:
    support: partial
    details: The command is only run when neither O(creates) nor O(removes) is given or they decide
      it, as with M(ansible.builtin.shell).
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
notes:
  - Not recorded for asynchronous tasks, whose root is gone when the task goes on.
seealso:
  - module: treekill.remote.command
  - module: ansible.builtin.shell
"""

EXAMPLES = r"""
- name: Give a backup a minute to clean up when the run is interrupted
  treekill.remote.shell:
    cmd: tar --create /etc | gzip > /var/backups/etc.tar.gz
    kill_signal: INT
    kill_timeout: 60
  become: true
"""

RETURN = r"""
remote_pid:
  description: Pid of the command's root on the host, the shell that began it.
  returned: when the task is not asynchronous
  type: int
  sample: 4711
remote_ppid:
  description: Pid of the root's parent on the host.
  returned: when the task is not asynchronous
  type: int
  sample: 4710
cmd:
  description: The command that was run.
  returned: always
  type: str
  sample: tar --create /etc | gzip > /var/backups/etc.tar.gz
rc:
  description: Its exit status.
  returned: always
  type: int
  sample: 0
stdout:
  description: Its standard output.
  returned: always
  type: str
  sample: ""
stderr:
  description: Its standard error.
  returned: always
  type: str
  sample: ""
"""
