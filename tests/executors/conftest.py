"""Lets pytest explain the asserts of the contract suite that the package ships."""

import pytest

pytest.register_assert_rewrite("agentrt.testing.contract")
