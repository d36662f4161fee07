# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a run as a whole, when its first play has not begun: how trees are ended, what is written down of it, and what is run after it.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._core.api import Feature, is_supported
from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import (
    KillOptions,
    RecordOptions,
    resolve,
    resolve_after,
    resolve_records,
)

if t.TYPE_CHECKING:
    from ansible.parsing.dataloader import DataLoader
    from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.plan import AfterPlan


def options_of_run(
    loader: DataLoader | None, basedir: str
) -> tuple[KillOptions, RecordOptions, AfterPlan | None]:
    """How trees are ended, what is written down, and what is run after the kill, if anything, by a playbook in this directory; empty: the loader's own.

    Extra variables are asked for here: core hands them to callbacks since 2.20 only.

    Raises:
        AnsibleOptionsError: a value that is not allowed; the text names the option and what is.
    """
    extra = (
        _extra_variables(loader)
        if loader is not None and is_supported(Feature.EXTRA_VARIABLES)
        else {}
    )
    options = resolve(extra)
    after = None
    if loader is not None and is_supported(Feature.AFTER_KILL) and is_supported(Feature.RECAP):
        from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.plan import (  # noqa: PLC0415  # stands on what was looked at here
            make_plan,
        )

        after = make_plan(
            resolve_after(extra), loader, basedir or loader.get_basedir(), options.timeout
        )
    return options, resolve_records(extra), after


def _extra_variables(loader: DataLoader) -> dict[str, t.Any]:
    from ansible.utils.vars import load_extra_vars  # noqa: PLC0415  # as above

    return {
        name: value for name, value in load_extra_vars(loader).items() if not _is_template(value)
    }


def _is_template(value: object) -> bool:
    """Whether the value can be known only where it is used, on a host and in a task."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)
