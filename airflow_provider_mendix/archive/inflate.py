"""The library that inflates: isal where there is a wheel of it, at less than half the price, else Python's own."""

from __future__ import annotations

try:
    from isal import isal_zlib as zlib
except ImportError:
    import zlib  # type: ignore[no-redef]

__all__ = ["zlib"]
