"""How much tests try: the profile, from `few` to `nightly`, that the examples of every property follow."""

import os

PROFILE = os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "quick")


def by_profile(*, few, quick, ci, nightly):
    """What is meant for the profile of this run."""
    return {"few": few, "quick": quick, "ci": ci, "nightly": nightly}[PROFILE]
