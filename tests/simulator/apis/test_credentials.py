"""Wrong credentials and revoked rights."""

from __future__ import annotations

import pytest

from ..talking import AUTH, KEY, PROJECT, START, TOKEN, TOKEN_AUTH, USER, Talk, refusal


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"mendix-username": USER},
        {"mendix-apikey": KEY},
        AUTH | {"mendix-apikey": KEY[:-1]},
        AUTH | {"mendix-username": "bob@example.com"},
        {"authorization": f"MxToken {KEY}"},
    ],
)
@pytest.mark.parametrize("target", ["/api/1/apps", "/api/1/apps/shop/packages", "/api/1/apps/nope/packages"])
def test_wrong_credentials(talk, headers, target):
    reply = talk.api("GET", target, headers=headers)
    assert refusal(reply)[0] == 401
    assert KEY.encode() not in reply.body


def test_the_status_of_a_wrong_key_is_an_option_and_a_token_in_its_place_is_400(talk, talk_with):
    def said(talk, key):
        return refusal(talk.api("GET", "/api/1/apps", headers=AUTH | {"mendix-apikey": key}))

    assert said(talk, "wrong") == (401, "INVALID_CREDENTIALS")
    assert said(talk, TOKEN) == (400, "INVALID_CREDENTIALS")
    assert said(talk_with(wrong_key_status=400), "wrong") == (400, "INVALID_CREDENTIALS")


def test_rotated_key(talk):
    talk.platform.permissions.set_api_key(USER, "another-key")
    assert talk.api("GET", "/api/1/apps").status == 401
    assert talk.api("GET", "/api/1/apps", headers=AUTH | {"mendix-apikey": "another-key"}).status == 200


def test_revoked_rights(talk, talk_with):
    talk.platform.permissions.revoke("api", "shop")
    for method, target in [("GET", "/api/1/apps/shop/packages"), ("POST", "/api/1/apps/shop/packages")]:
        assert refusal(talk.api(method, target, START))[0] == 403
    assert talk.json("GET", "/api/1/apps") == []
    talk.platform.permissions.grant("api", "shop")
    assert talk.json("GET", "/api/1/apps/shop/packages") == []

    other = talk_with(list_apps_without_rights=True)
    other.platform.permissions.revoke("api", "shop")
    assert len(other.json("GET", "/api/1/apps")) == 1


REPOSITORY = f"/v1/repositories/{PROJECT}"


UNKNOWN_ID = "/v1/repositories/00000000-0000-4000-8000-000000000000"


def said_no(talk: Talk, target: str, headers: dict[str, str] = TOKEN_AUTH) -> int:
    reply = talk.repository(target, headers)
    assert refusal(reply) == (reply.status, f"RS{reply.status}")
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    return reply.status


class TestTokens:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            AUTH,
            {"authorization": ""},
            {"authorization": TOKEN},
            {"authorization": "MxToken "},
            {"authorization": f"MxToken {TOKEN}x"},
            {"authorization": f"Bearer {TOKEN}"},
        ],
    )
    @pytest.mark.parametrize("target", [f"{REPOSITORY}/info", f"{UNKNOWN_ID}/info", "/v1/repositories/shop/info"])
    def test_unknown(self, talk, headers, target):
        assert said_no(talk, target, headers) == 401

    def test_revoked(self, talk):
        talk.platform.permissions.revoke_personal_access_token(TOKEN)
        assert said_no(talk, f"{REPOSITORY}/info") == 401
        with pytest.raises(KeyError) as caught:
            talk.platform.permissions.revoke_personal_access_token(TOKEN)
        assert TOKEN not in str(caught.value)

    def test_without_the_scope_comes_before_the_id(self, talk):
        talk.platform.permissions.add_personal_access_token(TOKEN, scopes=["mx:deployment:read"])
        for target in (f"{REPOSITORY}/info", f"{UNKNOWN_ID}/info", "/v1/repositories/shop/info"):
            assert said_no(talk, target) == 403

    def test_an_app_of_another_team(self, talk):
        talk.platform.add_app("plan")
        talk.platform.permissions.revoke("team", "shop")
        for path in ("/info", "/branches", "/branches/a..b", "/branches/main/commits"):
            assert said_no(talk, REPOSITORY + path) == 403
        assert talk.repository(f"/v1/repositories/{talk.platform.apps['plan'].project_id}/info").status == 200
        talk.platform.permissions.grant("team", "shop")
        assert talk.repository(f"{REPOSITORY}/info").status == 200

    def test_api_rights_are_another_matter(self, talk):
        talk.platform.permissions.revoke("api", "shop")
        assert talk.repository(f"{REPOSITORY}/info").status == 200

    @pytest.mark.parametrize(
        ("target", "status"),
        [
            ("/v1/repositories/shop/info", 400),
            ("/v1/repositories/shop/branches/main", 400),
            (f"{REPOSITORY}x/branches", 400),
            (f"{REPOSITORY}/branches//commits", 400),
            (f"{REPOSITORY}/branches/a..b", 400),
            (f"{UNKNOWN_ID}/branches/a~1", 400),
            (f"{UNKNOWN_ID}/info", 404),
            (f"{UNKNOWN_ID}/branches", 404),
            (f"{UNKNOWN_ID}/branches/main", 404),
            (f"{REPOSITORY}/branches/trunk", 404),
            (f"{REPOSITORY}/branches/branches%2Fnope/commits", 404),
        ],
    )
    def test_refusals(self, talk, target, status):
        assert said_no(talk, target) == status
