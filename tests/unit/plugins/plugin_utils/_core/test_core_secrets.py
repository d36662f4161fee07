# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports have a mask for each text that ansible-core 2.22 hides in its output."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._core.core_secrets import (
    hidden_parts,
    hide,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.masks import (
    Masks,
    arguments_of,
    secrets_of_arguments,
)

try:
    from ansible.module_utils._internal import _secrets
except ImportError:
    _secrets = None

AFTER = pytest.mark.skipif(_secrets is None, reason="ansible-core before 2.22 hides nothing")


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Function that has core hide these texts and no others."""

    def register(*texts: str) -> None:
        masker = _secrets.SecretMasker()
        monkeypatch.setattr("ansible.module_utils.secrets._secret_masker", masker)
        for text in texts:
            hide(text)

    return register


@AFTER
@pytest.mark.parametrize(
    ("texts", "text", "parts"),
    [
        (["hunter2"], "zip -P hunter2 x.zip", ["hunter2"]),
        (["hunter2"], "zip x.zip", []),
        (["hunter2"], "hunter2", ["hunter2"]),
        (["hunter2"], "", []),
        (["correct horse"], "-p 'correct horse' x", ["correct horse"]),
        (["hunter2", "secret"], "hunter2 and secret", ["hunter2", "secret"]),
        (["hunter2", "2secret"], "-p hunter2secret -q", ["hunter2secret"]),
        (["a x b"], "1 a x b x 2", ["a x b"]),
        (["a b", "b c"], "a b  b c", ["a b", "b c"]),
        (["ab"], "abxab", ["ab", "ab"]),
        (["x"], "xaxbx", ["x", "x", "x"]),
        (["a, b", "c"], "a, b, c, c", ["a, b", "c", "c"]),
    ],
)
def test_the_parts_that_core_hides(
    registered: Callable[..., None], texts: list[str], text: str, parts: list[str]
):
    registered(*texts)
    assert hidden_parts(text) == parts


@AFTER
def test_a_part_of_an_argument_is_masked_wherever_a_process_shows_it(
    registered: Callable[..., None],
):
    registered("hunter2", "correct horse")
    arguments, are_all = arguments_of(
        {"_raw_params": "zip -P hunter2 x.zip; login 'correct horse'", "chdir": "/tmp"}
    )
    masks = Masks.from_secrets(secrets_of_arguments(arguments, ()))
    assert are_all
    assert masks.command("unzip\0-P\0hunter2\0x.zip").count("hunter2") == 0
    assert "horse" not in masks.command("login\0correct horse")
    assert "/tmp" in masks.command("ls\0/tmp")


@AFTER
def test_the_control_without_a_registered_text(registered: Callable[..., None]):
    registered()
    arguments = arguments_of({"_raw_params": "zip -P hunter2 x.zip"})[0]
    assert secrets_of_arguments(arguments, ()) == []


@pytest.mark.skipif(_secrets is not None, reason="from ansible-core 2.22 on, core hides texts")
def test_earlier_cores_hide_nothing():
    hide("hunter2")
    assert hidden_parts("hunter2") == []


@pytest.mark.parametrize("text", [None, ""])
def test_what_is_empty_is_not_hidden(text: str | None):
    hide(text)
    assert hidden_parts("hunter2") == []
