# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record options: the one place for their names, types, defaults and texts."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  report_path:
    description:
      - Where the report of an interrupted run goes, a JSON file of mode 0600. It lists each process
        that was ended, with its command line.
      - C({run}) in it stands for the run's id. For a directory, and a path that ends with a slash,
        the file is called C(treekill-{run}.json) there.
      - If it is empty or V(none), there is no report. A relative path in C(ansible.cfg) begins at
        the directory of that file, and others at the current directory. C({{CWD}}) stands for the
        current directory.
      - Command lines may hold secrets that should not be on a
        disk. Those of tasks with C(no_log) are left out.
    type: path
    default: ''
    env:
      - name: TREEKILL_REPORT_PATH
    ini:
      - section: treekill
        key: report_path
    vars:
      - name: treekill_report_path
  journal_path:
    description:
      - Directory of the journal, a small file for each run. It has the start of the run, its user
        and its playbook. It also has the hosts on which commands were under way when the run was
        interrupted, and whether these are known to be gone. It has no command line, no task and no
        reason.
      - The default follows E(ANSIBLE_HOME). If it is empty or V(none), there is no journal.
        Relative paths are read as those of O(report_path).
    type: path
    default: ~/.ansible/treekill/journal
    env:
      - name: TREEKILL_JOURNAL_PATH
    ini:
      - section: treekill
        key: journal_path
    vars:
      - name: treekill_journal_path
  journal_days:
    description: Days after which a run is removed from the journal.
    type: float
    default: 30
    env:
      - name: TREEKILL_JOURNAL_DAYS
    ini:
      - section: treekill
        key: journal_days
    vars:
      - name: treekill_journal_days
  journal_size:
    description:
      - Megabytes that the journal may have. The oldest runs are removed from a larger one, those
        that may need a sweep after all others.
    type: float
    default: 8
    env:
      - name: TREEKILL_JOURNAL_SIZE
    ini:
      - section: treekill
        key: journal_size
    vars:
      - name: treekill_journal_size
  notify_command:
    description:
      - A command that is run on the controller when a run was interrupted, whatever was found. It
        gets the verdict as one line of JSON on its standard input. The line has the names of the
        hosts, and no command line, task or reason.
      - It is run without a shell, for 10 seconds at most. Its output is not shown.
      - If it is empty or V(none), nothing is run.
    version_added: 1.1.0
    type: str
    default: ''
    env:
      - name: TREEKILL_NOTIFY_COMMAND
    ini:
      - section: treekill
        key: notify_command
    vars:
      - name: treekill_notify_command
"""
