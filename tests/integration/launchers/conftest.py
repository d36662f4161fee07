# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab of the tests here, with bystanders and without."""

from __future__ import annotations

import pytest

from tests.support.hosts import Lab
from tests.support.labs.clean_lab import lab, shared_lab, web1, web2
from tests.support.labs.companies import companies
from tests.support.trees.bystanders import Companies, Company

__all__ = ("companies", "lab", "shared_lab", "web1", "web2")


@pytest.fixture
def among(shared_lab: Lab, companies: Companies) -> Company:
    """Bystanders on two hosts, a second run among them."""
    return companies.on(shared_lab)
