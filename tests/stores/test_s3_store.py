"""The store for S3 by both paths, on such a server. Its tests have another package than the other tests."""

from __future__ import annotations

from ..archive.stores.test_fast_s3 import *  # noqa: F403
from ..archive.stores.test_s3 import *  # noqa: F403
