"""The test of a connection."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.simulator.options import Options

from ..conftest import KEY, TOKEN, USER, set_connection, use_token

WRONG = "wrong-secret-0123456789"


class TestTestConnection:
    """It reports on the API key and on the personal access token separately, and shows neither."""

    @pytest.fixture
    def report(self, server, monkeypatch):
        """Test a connection; return whether it works, and the sentences about key and token."""

        def test(**changes):
            use_token(monkeypatch, server, **changes)
            works, said = MendixHook().test_connection()
            assert not [secret for secret in (KEY, TOKEN, WRONG) if secret in said]
            about_key, about_token = said.split("Personal access token: ")
            return works, about_key.strip(), about_token

        return test

    def test_proves_both_by_real_calls(self, report, server, platform):
        works, about_key, about_token = report()
        assert works
        assert about_key == f"API key: works for {USER} on {server.api_url[7:]}, which lists 1 app(s)."
        assert about_token == f"works on {server.repository_url[7:]}."
        sent = [(entry.host, entry.path, entry.status) for entry in platform.journal]
        project_id = platform.apps["shop"].project_id
        assert sent == [("api", "/api/1/apps", 200), ("repository", f"/v1/repositories/{project_id}/info", 200)]

    def test_says_in_words_that_the_key_is_wrong_and_the_token_is_accepted(self, report):
        works, about_key, about_token = report(password=WRONG)
        assert not works
        assert about_key.startswith("API key: refused by Mendix.")
        assert "'API Rights'" in about_key
        assert "per environment" in about_key
        assert "off by default on production" in about_key
        assert about_token.startswith("accepted on")

    def test_says_that_a_token_in_place_of_the_key_is_refused(self, report):
        works, about_key, _ = report(password=TOKEN)
        assert not works
        assert about_key.startswith("API key: refused by Mendix.")
        assert "INVALID_CREDENTIALS" in about_key
        assert "a personal access token has a field of its own" in about_key

    def test_says_that_the_key_works_and_the_token_was_revoked(self, report, platform):
        platform.permissions.revoke_personal_access_token(TOKEN)
        works, about_key, about_token = report()
        assert not works
        assert f"works for {USER}" in about_key
        assert about_token.startswith("refused by Mendix.")
        assert "was revoked" in about_token
        assert "API Rights" not in about_token

    def test_says_that_the_token_lacks_its_scope(self, report, platform):
        platform.permissions.add_personal_access_token(TOKEN, scopes=["mx:app:read"])
        works, about_key, about_token = report()
        assert not works
        assert f"works for {USER}" in about_key
        assert "has the scope mx:modelrepository:repo:read" in about_token

    def test_says_that_neither_works(self, report):
        works, about_key, about_token = report(password=WRONG, token=WRONG)
        assert not works
        assert about_key.startswith("API key: refused")
        assert about_token.startswith("refused")

    def test_a_connection_without_token_works_whatever_became_of_the_team_server_api(self, server, platform):
        platform.cloud.options = Options(team_server="retired")
        works, said = MendixHook().test_connection()
        assert works
        assert "Personal access token: none given. To look up revisions, add" in said
        assert said.endswith(
            "a personal access token with the scope mx:modelrepository:repo:read, from"
            " https://user-settings.mendix.com/link/developersettings."
        )
        assert [entry.path for entry in platform.journal] == ["/api/1/apps"]

    def test_a_user_without_apps_has_a_token_proved_all_the_same(self, report, platform):
        platform.apps.clear()
        works, about_key, about_token = report()
        assert works
        assert "lists 0 app(s)" in about_key
        assert about_token.endswith("there was no repository to prove it on.")

    def test_reports_a_closed_port(self, monkeypatch, clock):
        extra = {"personal_access_token": TOKEN, "repository_url": "http://127.0.0.1:9"}
        set_connection(monkeypatch, host="http://127.0.0.1:9", extra=extra)
        works, said = MendixHook().test_connection()
        assert not works
        assert "API key: not proved." in said
        assert "Personal access token: not proved." in said
        assert said.count("Connection refused") == 2
