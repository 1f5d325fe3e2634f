"""The picture of the layers shows those that the imports are checked by."""

from __future__ import annotations

import itertools
import re

from ..test_imports import LAYERS
from .pages import DOCS, in_the_repository

pytestmark = in_the_repository


def test_the_picture_shows_every_layer_in_its_order():
    picture = (DOCS / "images" / "architecture.svg").read_text()
    layers = re.findall(r'class="name"[^>]*>([^<]+)<', picture.partition('class="side"')[0])
    height = {name: -number for number, names in enumerate(layers) for name in names.split()}
    assert set(height) == {name for layer in LAYERS for name in layer}
    for lower, upper in itertools.pairwise(LAYERS):
        assert max(height[name] for name in lower) <= min(height[name] for name in upper)
