"""The files of packages."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest


@pytest.fixture
def package_id(talk) -> str:
    return talk.platform.packages.add("shop", version="1.0.0", revision="63")


@pytest.fixture
def link(talk, package_id) -> str:
    return talk.link(package_id)


def test_file_is_a_zip_of_the_announced_size(talk, package_id, link):
    body = talk.file(link).body
    assert len(body) == talk.get(package_id)["Size"] == 256 * 1024
    assert zipfile.ZipFile(io.BytesIO(body)).testzip() is None
    assert body == talk.platform.packages.content(package_id) == talk.file(talk.link(package_id)).body
    assert hashlib.sha256(body).hexdigest() == talk.platform.packages.sha256(package_id)
    assert talk.file(link).headers["Content-Length"] == str(len(body))


def test_other_packages_have_other_files(talk, package_id):
    other = talk.platform.packages.add("shop", version="1.0.0", revision="63")
    assert talk.platform.packages.sha256(package_id) != talk.platform.packages.sha256(other)


@pytest.mark.parametrize("size", [0, 1000, 5_000_001])
def test_a_package_is_no_smaller_than_a_zip(talk, size):
    talk.platform.packages.default_size = size
    package_id = talk.platform.packages.add("shop", version="1.0.0", revision="63")
    talk.platform.packages.default_size = 7
    body = talk.platform.packages.content(package_id)
    assert len(body) == talk.get(package_id)["Size"]
    assert len(body) == size or size == 0 < len(body) < 1000
    assert zipfile.ZipFile(io.BytesIO(body)).testzip() is None
