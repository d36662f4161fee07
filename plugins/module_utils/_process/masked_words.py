# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Masks for what a command line says by its form to be a secret: credentials in URLs, and the values of passwords, secrets and tokens.

Private to the collection treekill.remote. Runs on hosts and on the controller: standard library, Python 3.6 and later.
ansible-core masks the same in the command lines that it shows (heuristic_log_sanitize, PASSWD_ARG_RE), and more than that: any text up to an at sign.
"""

import re

MASK = "********"

_NAME = (
    r"[\w.-]*(?:passw(?:or)?d|passwrd|pass-?phrase|sshpass|(?<![a-z])pass(?!ive|enger|ed|thr|age)|secret|token"
    r"|(?:api|access|private)[_-]?key|(?<![a-z])key(?![a-z])|[_-]pwd)[\w.-]*"
)
"""What names a secret: PGPASSWORD, --db-pass, MYSQL_PWD, AWS_SECRET_ACCESS_KEY, --ssl-key; not PWD, not keyserver, and nothing with passive."""

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

_CUT_URLS = [
    # Not a port with its path.
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s/@:]*):(?!\d{1,5}/)[^\s@]*$", re.IGNORECASE), r"\1:%s" % MASK),
    # A token, or the name of a host: that shows only behind its at sign.
    (re.compile(r"(https?://)[^\s/@:]+$", re.IGNORECASE), r"\1%s" % MASK),
]

_FLAG = re.compile(r"-{1,2}%s$" % _NAME, re.IGNORECASE)
_PAIR = re.compile(r"(-{0,2}%s(?:=|:\s*)|(?:-H\s*)?[\w-]*authorization\s*:\s*(?:\w+\s+)?)(?!//).+" % _NAME, re.IGNORECASE | re.DOTALL)
_PARAMETER = re.compile(r"([&?]%s=)[^&'\"]+" % _NAME, re.IGNORECASE)
_VERBS = ("pass", "password", "passwd")

_JSON_VALUE = r"""(?:\\+"(?:.*?)(?:\\+"|$)|\\*"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|\[[^\]]*\]?|\{[^}]*\}?|[^\s,}\]"'\[{]+)"""
"""Text in quotation marks, those of a text within another text too; a list; an object; a number."""

_WORDS = [
    (re.compile(r"(?<![\w.-])(-{0,2}%s)=%s" % (_NAME, _VALUE), re.IGNORECASE), r"\1=%s" % MASK),
    (re.compile(r"""(?<![\w.-])(%s\\*["']\s*:\s*)%s""" % (_NAME, _JSON_VALUE), re.IGNORECASE | re.DOTALL), r'\1"%s"' % MASK),
    (re.compile(r"(?<![\w.-])(-{1,2}%s)\s+(?!-{1,2}%s(?:[\s=]|$))%s" % (_NAME, _NAME, _VALUE), re.IGNORECASE), r"\1 %s" % MASK),
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
    """A text without what its form says to be a secret. cut: whether something is missing at its end."""
    text = mask_urls(text)
    if cut and "://" in text:
        for pattern, masked in _CUT_URLS:
            text = pattern.sub(masked, text)
    if _LIKELY.search(text):
        for pattern, masked in _WORDS:
            text = pattern.sub(masked, text)
    return text


def mask_command(text: "str", cut: "bool" = False) -> "str":
    """A command line, to be shown, without what its form says to be a secret. Where NUL stands between its words, each is looked at as a whole.

    A value goes to the end of its word, blanks included. cut: whether something is missing at its end.
    """
    words = text.split("\0")
    if not words[1:]:
        return mask_words(text, cut)
    shown = []
    hidden = False
    for at, word in enumerate(words):
        pair = _PAIR.match(word) if _LIKELY.search(word) else None
        if hidden:
            shown.append(MASK)
        elif pair:
            shown.append(pair.group(1) + MASK)
        else:
            shown.append(mask_words(_PARAMETER.sub(r"\1" + MASK, word), cut and at == len(words) - 1))
        hidden = bool(_FLAG.match(word)) or at > 0 and word.lower() in _VERBS
    # Masked as a whole once more: a program may take several words for one text.
    return mask_words(" ".join(shown), cut)
