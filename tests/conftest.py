"""What all tests share: the profiles of hypothesis and the flag that writes recorded results anew."""

import atexit
import os
import shutil
import tempfile
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

# The state of whoever runs the tests is never touched.
os.environ["OCKAM_REF_HOME"] = tempfile.mkdtemp(prefix="ockam-ref-tests-")
atexit.register(shutil.rmtree, os.environ["OCKAM_REF_HOME"], ignore_errors=True)

PROFILE_VARIABLE: Final = "HYPOTHESIS_PROFILE"

# No deadline anywhere: a shared machine makes any single example slow.
settings.register_profile("dev", max_examples=100, deadline=None)
settings.register_profile(
    "ci",
    max_examples=200,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "deep", max_examples=10_000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get(PROFILE_VARIABLE) or ("ci" if os.environ.get("CI") == "true" else "dev"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="write the recorded results that tests compare with")


@pytest.fixture
def regenerate(pytestconfig: pytest.Config) -> bool:
    """Whether a test writes what it would compare with."""
    return bool(pytestconfig.getoption("regenerate"))
