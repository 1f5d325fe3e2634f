"""Read botocore's large JSON files once per process: otherwise each new S3 client costs 0.2 s of CPU."""

from __future__ import annotations

from typing import Any


def cache_service_models() -> None:
    """Let all loaders of botocore in this process share what they have read.

    :raises ImportError: without botocore.
    """
    from botocore.loaders import JSONFileLoader

    read = JSONFileLoader.load_file
    if hasattr(read, "cache"):
        return
    cache: dict[str, Any] = {}

    def load_file(self: JSONFileLoader, file_path: str) -> Any:
        if file_path not in cache:
            cache[file_path] = read(self, file_path)
        return cache[file_path]

    load_file.cache = cache  # type: ignore[attr-defined]
    JSONFileLoader.load_file = load_file
