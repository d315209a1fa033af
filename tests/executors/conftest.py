"""Settings for this folder."""

import pytest
from hypothesis import settings

# Lets pytest explain the asserts of the contract suite that the package ships.
pytest.register_assert_rewrite("agentrt.testing.contract")

# A time limit for each example would measure how busy the machine is.
settings.register_profile("agentrt", deadline=None)
settings.load_profile("agentrt")
