# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Masks for what a command line says by its form to be a secret: credentials in URLs, and the values of passwords, secrets and tokens.

Private to the collection treekill.remote. Runs on hosts and on the controller: standard library, Python 3.6 and later.
ansible-core masks the same in the command lines that it shows (heuristic_log_sanitize, PASSWD_ARG_RE), and more than that: any text up to an at sign.
"""

import re

MASK = "********"

_NAME = r"[\w.-]*(?:passw(?:or)?d|passwrd|pass-?phrase|sshpass|(?<![a-z])pass(?!ive|enger|ed|thr|age)|secret|token|api[_-]?key|access[_-]?key|[_-]pwd)[\w.-]*"
"""What names a secret: PGPASSWORD, --db-pass, MYSQL_PWD, AWS_SECRET_ACCESS_KEY; not PWD, and nothing with passive."""

_VALUE = r"""(?:'[^']*(?:'|$)|"[^"]*(?:"|$)|\\.|[^\s'"\\])+"""
"""A word as a shell reads it. What is cut off at the end has no closing quotation mark."""

_URLS = [
    # The password of a URL may hold anything; where it is cut off there is no at sign.
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s/@:]*):\S*@", re.IGNORECASE), r"\1:%s@" % MASK),
    # A token instead of a user's name, as services for git take it.
    (re.compile(r"(https?://)[^\s/@:]+@", re.IGNORECASE), r"\1%s@" % MASK),
    # The same without a scheme, as rsync takes it.
    (re.compile(r"(?<![\w/.:@-])([\w.-]+):[^\s/@]+@(?=[\w.\[-])"), r"\1:%s@" % MASK),
]

_CUT_URL = re.compile(r"([a-z][a-z0-9+.-]*://[^\s/@:]*):[^\s/@]*$", re.IGNORECASE)

_WORDS = [
    (re.compile(r"(?<![\w.-])(-{0,2}%s)=%s" % (_NAME, _VALUE), re.IGNORECASE), r"\1=%s" % MASK),
    (re.compile(r"""(?<![\w.-])(%s["']\s*:\s*)["'][^"']*["']?""" % _NAME, re.IGNORECASE), r'\1"%s"' % MASK),
    (re.compile(r"(?<![\w.-])(-{1,2}%s)\s+(?!-)%s" % (_NAME, _VALUE), re.IGNORECASE), r"\1 %s" % MASK),
    (re.compile(r"(?<=\s)(pass|password|passwd)\s+(?!-)%s" % _VALUE, re.IGNORECASE), r"\1 %s" % MASK),
    (re.compile(r"(authorization\s*:\s*(?:\w+\s+)?|\bbearer\s+)[^\s'\"]+", re.IGNORECASE), r"\1%s" % MASK),
]

_LIKELY = re.compile(r"pass|secret|token|key|pwd|authorization|bearer", re.IGNORECASE)
"""Without any of these there is nothing to mask. A report may have ten thousand command lines."""


def mask_urls(text: "str") -> "str":
    """A text without the credentials of URLs."""
    if "@" in text and ":" in text:
        for pattern, masked in _URLS:
            text = pattern.sub(masked, text)
    return text


def mask_words(text: "str", cut: "bool" = False) -> "str":
    """A command line without what its form says to be a secret. cut: whether something is missing at its end."""
    text = mask_urls(text)
    if cut and "://" in text:
        text = _CUT_URL.sub(r"\1:%s" % MASK, text)
    if _LIKELY.search(text):
        for pattern, masked in _WORDS:
            text = pattern.sub(masked, text)
    return text
