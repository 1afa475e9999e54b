"""Hypothesis profiles: the default looks for new counterexamples, `ci` (HYPOTHESIS_PROFILE=ci) repeats itself."""

import os

from hypothesis import settings

# No deadline: an example is dozens of operations, and the machine that runs it may be busy.
settings.register_profile("default", max_examples=100, stateful_step_count=40, deadline=None)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
