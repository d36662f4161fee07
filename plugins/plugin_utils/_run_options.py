# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a run as a whole, when its first play has not begun: how trees are ended, what is written down of it, and what is run after it.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import typing as t

from ansible.utils.vars import load_extra_vars
from ansible_collections.treekill.remote.plugins.plugin_utils._after_plan import AfterPlan, plan_of
from ansible_collections.treekill.remote.plugins.plugin_utils._options import KillOptions, RecordOptions, resolve, resolve_after, resolve_records

if t.TYPE_CHECKING:
    from ansible.parsing.dataloader import DataLoader


def options_of_run(loader: DataLoader, basedir: str) -> tuple[KillOptions, RecordOptions, AfterPlan | None]:
    """How trees are ended, what is written down, and what is run after the kill, if anything, by a playbook in this directory.

    Extra variables are asked for here: core hands them to callbacks since 2.20 only.

    Raises:
        AnsibleOptionsError: a value that is not allowed; the text names the option and what is.
    """
    extra = {name: value for name, value in load_extra_vars(loader).items() if not _is_template(value)}
    options = resolve(extra)
    return options, resolve_records(extra), plan_of(resolve_after(extra), loader, basedir, options.timeout)


def _is_template(value: object) -> bool:
    """Whether the value can be known only where it is used, on a host and in a task."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)
