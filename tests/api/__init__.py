"""The API families, each by its tables."""

import pytest

# Its assertions are the tests of every family, so a failure should show their values.
pytest.register_assert_rewrite(f"{__name__}.checks")
