# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action run_journal_info, which runs on the controller."""

DOCUMENTATION = r"""
module: run_journal_info
short_description: Read the journal of runs
version_added: 1.1.0
author:
  - The treekill.remote authors (@treekill)
description:
  - Reads the journal that guarded runs of this user keep on the controller, see
    O(treekill.remote.guardian#callback:journal_path).
  - It returns which runs are over, and on which hosts commands of them may be alive. That is so if
    the controller was gone, a host could not be reached, or a process survived.
  - It runs on the controller, whatever host the task is for, and connects to no host.
options:
  host:
    description: Only runs that had commands under way on this host; RV(runs[].open) has only this
      host.
    type: str
  runs:
    description: Only these runs, each sixteen hexadecimal digits.
    type: list
    elements: str
  open:
    description: Only runs of which something may be alive.
    type: bool
    default: false
extends_documentation_fragment:
  - treekill.remote.attributes
attributes:
  check_mode:
    support: full
    details: It only reads.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
seealso:
  - module: treekill.remote.run_journal
  - module: treekill.remote.run_sweep
  - plugin: treekill.remote.guardian
    plugin_type: callback
"""

EXAMPLES = r"""
- name: List where commands of runs that are over may be alive
  treekill.remote.run_journal_info:
    open: true
  register: journal

- name: Print it
  ansible.builtin.debug:
    msg: >-
      {{ item.began }} {{ item.user }} {{ item.playbooks | join(' ') }} [{{ item.run }}]:
      {{ item.open.keys() | join(', ') }}
  loop: "{{ journal.runs }}"
  loop_control:
    label: "{{ item.run }}"
"""

RETURN = r"""
path:
  description: Directory of the journal; empty if there is none.
  returned: always
  type: str
  sample: /home/user/.ansible/treekill/journal
runs:
  description: The runs, the latest first.
  returned: always
  type: list
  elements: dict
  contains:
    run:
      description: Id of the run.
      type: str
      returned: always
      sample: 8c0e4010f40ee5a5
    began:
      description: When it began, ISO 8601 in UTC.
      type: str
      returned: always
      sample: "2026-11-22T10:15:30Z"
    ended:
      description: When it ended, as far as that is known.
      type: str
      returned: always
      sample: "2026-11-22T10:25:30Z"
    user:
      description: The user that started it.
      type: str
      returned: always
      sample: deploy
    controller:
      description: Name of the machine that it ran on.
      type: str
      returned: always
      sample: ci1
    program:
      description: The command that started it.
      type: str
      returned: always
      sample: ansible-playbook
    playbooks:
      description: Its playbooks.
      type: list
      elements: str
      returned: always
      sample: [site.yml]
    inventory:
      description: Its inventories.
      type: list
      elements: str
      returned: always
      sample: [hosts]
    state:
      description:
        - V(running), its main process, a worker or its guardian lives. V(finished), it ended by
          itself. V(interrupted), it did not, and its guardian has done what it could. V(dead), it
          did not, and no guardian was left. V(elsewhere), it ran on another machine, which can't be
          asked from here.
      type: str
      returned: always
      sample: interrupted
    cause:
      description: The signal or event that interrupted it.
      type: str
      returned: always
      sample: SIGINT
    open:
      description: The hosts on which something of it may be alive, each with the leases of the
        commands.
      type: dict
      returned: always
      sample: {"web1": [89abcdef]}
"""
