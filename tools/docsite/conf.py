# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of Sphinx.

They are what `antsibull-docs sphinx-init` writes, with Markdown, and without requests to the
network.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

project = "treekill.remote"
copyright = "2026, the treekill.remote authors"  # noqa: A001  # Sphinx wants this name
html_title = project
html_short_title = project

# Not sphinx.ext.intersphinx: it loads pages from docs.ansible.com, and a build would fail with that
# site.
extensions = ["sphinx_antsibull_ext", "myst_parser", "tools.docsite.links"]

# Every reference has to lead to a target.
nitpicky = True
default_role = "any"

# The ids of headings that GitHub has: links to headings are equal on both.
myst_heading_anchors = 6

pygments_style = "ansible"
highlight_language = "YAML+Jinja"

html_theme = "sphinx_ansible_theme"
html_show_sphinx = False
html_use_index = False
html_copy_source = False
