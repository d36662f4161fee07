# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Extension of Sphinx for links to files of the repository.

Links to GitHub lead to the pages of the site, and none leads to a missing page. The pages are read
on GitHub and on Galaxy as well, where links must be absolute. So links are absolute in the pages,
and changed here.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[2]

ON_GITHUB = "https://github.com/treekill/remote/blob/main/"
RAW_ON_GITHUB = "https://raw.githubusercontent.com/treekill/remote/main/"

#: The page that links to all Markdown pages; from docs/docsite/rst.
INDEX = "docsite/pages"

_ANSIBLE = "https://docs.ansible.com/projects/ansible/latest/"
_PLUGIN_OF_CORE = re.compile(
    r"ansible_collections\.ansible\.builtin\.(?P<page>\w+?_[a-z]+)(?P<part>__.*)?"
)
#: Targets that the pages of antsibull-docs refer to. A new one is an error of Sphinx's until it is
#: added here.
_PAGES_OF_ANSIBLE = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "callback_plugins": "plugins/callback.html",
    "common_return_values": "reference_appendices/common_return_values.html",
    "connection_plugins": "plugins/connection.html",
}

_log = logging.getLogger(__name__)


def put_into_navigation(app: Sphinx, docname: str, text: list[str]) -> None:
    """Put the links of the index into the site's navigation, in that order.

    A page that the index lacks is an error of Sphinx's.
    """
    if docname == INDEX:
        linked = re.findall(rf"`([^`<]+) <{re.escape(ON_GITHUB)}(\S+)\.md>`__", text[0])
        text[0] += "\n.. toctree::\n   :hidden:\n\n" + "".join(
            f"   {title} </{page}>\n" for title, page in linked
        )


def page_of(path: str) -> str:
    """Return the page that the site would have for a file of the repository.

    It is a page of Markdown, a plugin or a role.
    """
    parts = PurePosixPath(path).parts
    if len(parts) == 3 and parts[0] == "plugins":  # plugins, type, file
        return f"{PurePosixPath(path).stem}_{parts[1].removesuffix('s')}"
    if parts[0] == "roles":
        return f"{parts[1]}_role"
    return path.removesuffix(".md")


def lead_to_pages(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Change the links of one page, and warn of links to missing files and headings."""
    for link in doctree.findall(nodes.reference):
        target = str(link.get("refuri", ""))
        if target.startswith(ON_GITHUB):
            path, dummy, heading = target.removeprefix(ON_GITHUB).partition("#")
            if not (ROOT / path).exists():
                _log.warning("no such file in the repository: %s", path, location=link)
            elif page_of(path) in app.env.all_docs:
                link["refuri"] = app.builder.get_relative_uri(docname, page_of(path)) + _anchor(
                    app.env, page_of(path), heading, link
                )
                link["internal"] = True
    for picture in doctree.findall(nodes.image):
        path = str(picture["uri"])
        if (
            path.startswith(RAW_ON_GITHUB)
            and not (ROOT / path.removeprefix(RAW_ON_GITHUB)).exists()
        ):
            _log.warning("no such picture in the repository: %s", path, location=picture)


def _anchor(env: BuildEnvironment, page: str, heading: str, link: nodes.reference) -> str:
    if not heading:
        return ""
    known = env.metadata[page].get("myst_slugs", {})
    if heading not in known:
        _log.warning("no such heading in %s: %s", page, heading, location=link)
        return ""
    return f"#{known[heading][1]}"


def lead_to_ansible(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """Lead links to ansible-core's plugins to docs.ansible.com.

    `antsibull-docs lint-collection-docs` checks that these plugins and options exist.
    """
    target = str(node["reftarget"])
    plugin = _PLUGIN_OF_CORE.fullmatch(target)
    if plugin:
        page = f"collections/ansible/builtin/{plugin['page']}.html" + (
            f"#{target}" if plugin["part"] else ""
        )
    elif node["reftype"] == "envvar" and target.startswith("ANSIBLE_"):
        page = f"reference_appendices/config.html#envvar-{target}"
    elif target in _PAGES_OF_ANSIBLE:
        page = _PAGES_OF_ANSIBLE[target]
    else:
        return None
    return nodes.reference("", "", content, internal=False, refuri=f"{_ANSIBLE}{page}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Set the extension up; Sphinx calls it."""
    app.connect("source-read", put_into_navigation)
    app.connect("doctree-resolved", lead_to_pages)
    app.connect("missing-reference", lead_to_ansible)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
