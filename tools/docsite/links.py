# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Extension of Sphinx for links to files of the repository.

Links to GitHub lead to the pages of the site, and none leads to a missing page. The pages are read
on GitHub and on Galaxy as well, where links must be absolute. So links are absolute in the pages,
and changed here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[2]

ON_GITHUB = "https://github.com/treekill/remote/blob/main/"
RAW_ON_GITHUB = "https://raw.githubusercontent.com/treekill/remote/main/"

#: The first page of the site. antsibull-docs writes it.
FIRST = "index"

#: The page that links to all Markdown pages; from docs/docsite/rst.
INDEX = "docsite/pages"

_HEADING = re.compile(r"^(.+)\n-+$", re.MULTILINE)
_LINK = re.compile(rf"`([^`<]+) <{re.escape(ON_GITHUB)}(\S+)\.md>`__")

#: What antsibull-docs writes: the headings of the page itself, the link to the index of pages, and
#: the pages of plugins of one kind.
_CONTENTS = re.compile(r"^\.\. contents::\n(?:   .*\n)+", re.MULTILINE)
_TOCTREE_OF_INDEX = re.compile(
    rf"^Pages\n-----\n\n\.\. toctree::\n    :maxdepth: 1\n\n    {INDEX}\n", re.MULTILINE
)
_TOCTREE_OF_PLUGINS = re.compile(
    r"^\.\. toctree::\n    :maxdepth: 1\n    :hidden:\n\n((?:    \w+\n)+)", re.MULTILINE
)

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


def lead_through(app: Sphinx, docname: str, text: list[str]) -> None:
    """Give the site its navigation: the sections of the index of pages, then plugins and roles.

    A page that the index lacks is an error of Sphinx's. The theme shows the headings of each page
    by itself, so the lists that antsibull-docs writes for that go.
    """
    text[0] = _CONTENTS.sub("", text[0])
    # The site has its own copies of pictures.
    text[0] = text[0].replace(f"]({RAW_ON_GITHUB}", "](/")
    if docname == FIRST:
        index = (Path(app.srcdir) / f"{INDEX}.rst").read_text(encoding="utf-8")
        text[0] = _TOCTREE_OF_INDEX.sub(lambda dummy: _sections_of(index), text[0])
        text[0] = _TOCTREE_OF_PLUGINS.sub(_named_plugins, text[0])


def _sections_of(index: str) -> str:
    """Return a part of the navigation for each heading of the index, with its links in order."""
    parts = [_toctree("", [("All pages", INDEX)])]
    headings = list(_HEADING.finditer(index))
    for heading, following in itertools.zip_longest(headings, headings[1:]):
        part = index[heading.end() : following.start() if following else len(index)]
        parts.append(_toctree(heading[1], _LINK.findall(part)))
    return "\n".join(parts)


def _named_plugins(found: re.Match[str]) -> str:
    """Return the navigation to plugins of one kind: their names, and not their long titles."""
    pages = [page.rpartition("_") for page in found[1].split()]
    return _toctree(
        f"{pages[0][2].capitalize()}s",
        [(name, f"{name}_{kind}") for name, dummy, kind in pages],
    )


def _toctree(caption: str, links: Iterable[tuple[str, str]]) -> str:
    options = ":hidden:\n" + (f"   :caption: {caption}\n" if caption else "")
    entries = "".join(f"   {title} </{page}>\n" for title, page in links)
    return f".. toctree::\n   {options}\n{entries}"


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
    app.connect("source-read", lead_through)
    app.connect("doctree-resolved", lead_to_pages)
    app.connect("missing-reference", lead_to_ansible)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
