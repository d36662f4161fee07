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

pygments_style = "friendly"
pygments_dark_style = "monokai"
highlight_language = "YAML+Jinja"

html_theme = "furo"
html_show_sphinx = False
html_use_index = False
html_copy_source = False
# The colours of antsibull-docs are for a light page.
html_theme_options = {
    "dark_css_variables": {
        "antsibull-attribute-support-full": "#7ec07e",
        "antsibull-attribute-support-none": "#ff8a80",
        "antsibull-deprecation-background": "#333",
        "antsibull-deprecation-border": "#888",
        "antsibull-deprecation-color": "#eee",
        "antsibull-links-background": "#1f6f71",
        "antsibull-links-background-active": "#2b8f92",
        "antsibull-narrowtable-background": "#1d2733",
        "antsibull-option-aliases": "#7ec07e",
        "antsibull-option-default": "#8ab4f8",
        "antsibull-option-elements": "#d7a3e8",
        "antsibull-option-required": "#ff8a80",
        "antsibull-option-sample": "#8ab4f8",
        "antsibull-option-sample-header": "#eee",
        "antsibull-option-type": "#d7a3e8",
        "antsibull-option-version-added": "#7ec07e",
        "antsibull-table-background-even": "#1d2733",
        "antsibull-table-background-header": "#23405a",
        "antsibull-table-background-odd": "#131416",
        "antsibull-table-border": "#555",
    }
}
html_static_path = ["static"]
html_css_files = ["tables.css"]
