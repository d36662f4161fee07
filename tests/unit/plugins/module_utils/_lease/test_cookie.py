# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cookies, their holders, and the processes that claim to be the root of a lease."""

import shlex

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import (
    Cookie,
    CookieMatch,
    check_names,
    export_command,
    is_exempt,
    parse_cookie,
)
from hypothesis import given
from hypothesis import strategies as st

RUN, LEASE = "0123456789abcdef", "89abcdef"
ONE, EVERY = CookieMatch(RUN, LEASE), CookieMatch(RUN, "*")

hexadecimal = st.text("0123456789abcdef", min_size=1, max_size=20)
entries = st.lists(st.binary(max_size=40).map(lambda entry: entry.replace(b"\0", b"")), max_size=6)


def cookie(run=RUN, lease=LEASE, root=17, ppid=4):
    return ("TREEKILL=%s/%s/%d/%d" % (run, lease, root, ppid)).encode()


@given(st.integers(0, 1 << 22), st.integers(0, 1 << 22))
def test_what_is_written_is_read(root, ppid):
    assert parse_cookie(str(Cookie(RUN, LEASE, root, ppid))) == Cookie(RUN, LEASE, root, ppid)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spare",
        "/",
        "///",
        RUN,
        "%s/%s/1" % (RUN, LEASE),
        "%s/%s/1/2/3" % (RUN, LEASE),
        "%s/%s/-1/2" % (RUN, LEASE),
        "%s/%s/1/" % (RUN, LEASE),
        "%s/%s/1/2" % (RUN.upper(), LEASE),
        "%s/%s/1/2" % (RUN, LEASE[1:]),
        "%s/%s/1/2\n" % (RUN, LEASE),
        "%s/%s/%s/2" % (RUN, LEASE, "1" * 30),
    ],
)
def test_what_is_no_cookie_is_refused(text):
    with pytest.raises(ValueError, match="not a cookie"):
        parse_cookie(text)


@pytest.mark.parametrize(
    ("run", "lease"),
    [
        ("", LEASE),
        (RUN, ""),
        (RUN[1:], LEASE),
        (RUN, "0"),
        (RUN, "**"),
        ("*", LEASE),
        (RUN + "0", LEASE),
    ],
)
def test_names_that_would_match_strangers_are_refused(run, lease):
    with pytest.raises(ValueError, match="not a run"):
        CookieMatch(run, lease)
    with pytest.raises(ValueError, match=r"not a (run|lease) id"):
        check_names(run, lease)


@pytest.mark.parametrize(
    ("run", "lease"), [("X" * 16, LEASE), (RUN, "X" * 8), (RUN.upper(), LEASE)]
)
def test_names_of_another_alphabet_are_refused(run, lease):
    with pytest.raises(ValueError, match=r"not a (run|lease) id"):
        check_names(run, lease)


@given(entries, entries)
def test_a_holder_is_found_wherever_the_cookie_stands(before, after):
    for match in (ONE, EVERY):
        assert match.named_root(b"\0".join([*before, cookie(), *after]) + b"\0") == 17


@given(entries, hexadecimal, hexadecimal)
def test_no_other_environment_is_a_holders(others, run, lease):
    environment = b"\0".join(
        entry for entry in others if not entry.startswith(b"TREEKILL=%s/" % RUN.encode())
    )
    assert ONE.named_root(environment) is None
    assert EVERY.named_root(environment) is None
    if run != RUN:
        assert EVERY.named_root(cookie(run, lease)) is None
    if lease != LEASE:
        assert ONE.named_root(cookie(lease=lease)) is None


@pytest.mark.parametrize(
    "environment",
    [
        b"X=" + cookie(),
        b"X=a " + cookie(),
        b"X=a\n" + cookie(),
        b"MY" + cookie(),
        b"TREEKILL=" + cookie(),
        cookie()[:-2],
        cookie() + b"/5",
        cookie().replace(b"17", b"17a"),
        cookie().replace(b"17", b""),
        cookie(lease="89abcde"),
    ],
)
def test_the_word_in_another_place_is_no_cookie(environment):
    assert ONE.named_root(b"A=1\0" + environment + b"\0B=2\0") is None


def test_every_lease_of_a_run_is_matched_by_the_star():
    assert EVERY.named_root(cookie(lease="00000000")) == 17
    assert EVERY.named_root(cookie(run="f" * 16)) is None


def test_of_two_runs_of_one_command_only_that_of_the_root_is_matched():
    """The text of a command line does not show the root either."""
    for root in (17, 18):
        assert CookieMatch(RUN, LEASE, root).named_root(b"A=1\0" + cookie() + b"\0") == (
            17 if root == 17 else None
        )
    claim = [
        b"/bin/sh",
        b"-c",
        b"export TREEKILL=%s/%s/$$/$PPID; true" % (RUN.encode(), LEASE.encode()),
    ]
    assert ONE.claimed_by(claim)
    assert not CookieMatch(RUN, LEASE, 17).claimed_by(claim)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (b"A=1\0TREEKILL=spare\0", True),
        (b"TREEKILL=spare", True),
        (b"TREEKILL=spared\0", False),
        (b"X=TREEKILL=spare\0", False),
        (b"", False),
    ],
)
def test_a_spare_says_exactly_so(environment, expected):
    assert is_exempt(environment) is expected


SCRIPT = export_command(RUN, LEASE) + "; python3 'a b'"


def levels(script):
    """Return what is above the root in the process table, from the root up.

    That is [shell, -c, script], quoted once more on each level.
    """
    root = ["/bin/sh", "-c", script]
    sudo = ["sudo", "-H", "-S", "-n", "-u", "other", *root]
    login = ["bash", "-c", " ".join(map(shlex.quote, sudo))]
    su = ["su", "other", "-c", " ".join(map(shlex.quote, root))]
    short_sudo = ["sudo", *root]
    plain_login = ["sh", "-c", " ".join(map(shlex.quote, root))]
    twice = ["sh", "-c", " ".join(map(shlex.quote, login))]
    return root, [sudo, login, su, short_sudo, plain_login, twice]


@pytest.mark.parametrize(
    "script", [SCRIPT, "echo BECOME-SUCCESS-abc ; " + SCRIPT, "cd 'a b' && X=\"it's\" && " + SCRIPT]
)
def test_the_root_claims_its_lease_and_no_process_above_it_does(script):
    root, above = levels(script)
    for match in (ONE, EVERY):
        assert match.claimed_by([word.encode() for word in root])
        for arguments in above:
            assert not match.claimed_by([word.encode() for word in arguments]), arguments


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["grep", "-c", cookie().decode()],
        ["sh", "-c", "grep TREEKILL=%s/%s/ /proc/*/environ" % (RUN, LEASE)],
        ["sh", "-c", ": '%s'" % SCRIPT],
        ["sh", "-c", ': "%s"' % SCRIPT],
        ["sh", "-c", "# %s" % SCRIPT],
        ["sh", "-c", "sleep 7; # as in: ls; %s" % SCRIPT],
        ["sh", "-c", "cat <<X\n%s\nX" % SCRIPT],
        ["sh", "-c", "echo %s" % SCRIPT],
        ["sh", "-c", "echo $(%s" % SCRIPT],
        ["sh", "-x", SCRIPT],
        ["sh", "-c", SCRIPT, "argument"],
        ["sh", SCRIPT],
        ["sh", "-c", export_command("f" * 16, LEASE)],
    ],
)
def test_what_only_mentions_a_lease_does_not_claim_it(arguments):
    for match in (ONE, EVERY):
        assert not match.claimed_by([word.encode() for word in arguments])


def test_another_lease_of_the_run_is_claimed_for_the_star_alone():
    other = [b"sh", b"-c", export_command(RUN, "00000000").encode()]
    assert EVERY.claimed_by(other)
    assert not ONE.claimed_by(other)


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_no_command_line_breaks_the_match(arguments):
    assert not ONE.claimed_by(arguments)
