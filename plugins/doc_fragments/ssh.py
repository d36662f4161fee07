# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of core's ssh connection plugin, for the connection plugin that extends it."""

from __future__ import annotations

import json
import typing as t

import yaml
from ansible.plugins.connection import ssh as core_ssh
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import add_fragments


def _core_options() -> str:
    """Return core's documentation with its fragments resolved.

    A fragment can't extend another one.
    """
    documentation = yaml.safe_load(core_ssh.DOCUMENTATION)
    add_fragments(documentation, core_ssh.__file__, fragment_loader=fragment_loader)
    # JSON is YAML as well. It accepts the tagged strings that some versions of core load: yaml
    # refuses to dump them.
    return json.dumps({"options": _without_versions(documentation["options"])}, default=str)


def _without_versions(options: t.Any) -> t.Any:
    """Return the options without core's `version_added` and `deprecated`.

    They name versions of core, and would look like versions of this collection.
    """
    if isinstance(options, dict):
        return {
            name: _without_versions(value)
            for name, value in options.items()
            if name not in ("version_added", "deprecated")
        }
    if isinstance(options, list):
        return [_without_versions(value) for value in options]
    return options


class ModuleDocFragment:
    DOCUMENTATION: str = _core_options()
