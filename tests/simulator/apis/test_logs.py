"""Links to the logs of an environment."""

from __future__ import annotations

import pytest

from ..deploying import ENVIRONMENTS
from ..talking import refusal

KINDS = ["logs", "access-logs"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("date", ["2023-11-14", "2023-11-13"])
def test_a_log_is_a_link(talk, kind, date):
    shown = talk.json("GET", f"{ENVIRONMENTS}/Test/{kind}/{date}")
    assert list(shown) == ["Environment", "Date", "DownloadUrl"]
    assert (shown["Environment"], shown["Date"] % 86_400_000) == ("Test", 0)
    reply = talk.file(shown["DownloadUrl"])
    assert (reply.status, date.encode() in reply.body) == (200, True)
    assert talk.file(shown["DownloadUrl"].replace("signature=", "signature=0")).status == 403
    talk.clock.sleep(901)
    assert talk.file(shown["DownloadUrl"]).status == 403


@pytest.mark.parametrize("kind", KINDS)
def test_refusals(talk, kind):
    for date in ("2023-11-15", "2023-02-30", "today"):
        assert refusal(talk.api("GET", f"{ENVIRONMENTS}/Test/{kind}/{date}")) == (404, "NOT FOUND")
    assert refusal(talk.api("GET", f"{ENVIRONMENTS}/Nope/{kind}/2023-11-14")) == (404, "ENVIRONMENT_NOT_FOUND")
    talk.platform.permissions.revoke("api", "shop", "Test")
    assert refusal(talk.api("GET", f"{ENVIRONMENTS}/Test/{kind}/2023-11-14")) == (403, "FORBIDDEN")
