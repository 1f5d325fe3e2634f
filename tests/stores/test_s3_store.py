"""The store for S3 by both paths, on such a server. Its tests have another package than the other tests."""

from __future__ import annotations

from ..archive.stores.test_fast_s3 import *  # noqa: F403
from ..archive.stores.test_s3 import *  # noqa: F403

# Swift checks the bytes that it gets, so it keeps no framing.
test_a_store_that_keeps_the_framing_of_a_manifest_is_found_out = None
