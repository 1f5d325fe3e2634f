"""Settings of an environment: merged by name, sent only if they differ, and without a secret in any log."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException
from airflow.sdk import DAG

from airflow_provider_mendix.exceptions import (
    EnvironmentNotFoundError,
    EnvironmentStateError,
    InvalidInputError,
    InvalidRequestError,
    OutageError,
    ProductionRefusedError,
)
from airflow_provider_mendix.operators.settings import MendixUpdateSettingsOperator

from ..deploying import posts, put

pytestmark = pytest.mark.usefixtures("server")
SECRET = "s3cr3t-of-the-shop"
OLD_SECRET = "0ld-s3cr3t-of-the-shop"


def update(**changes: Any) -> MendixUpdateSettingsOperator:
    values: dict[str, Any] = {"app_id": "shop", "environment": "Test", **changes}
    return MendixUpdateSettingsOperator(task_id="settings", **values)


@pytest.fixture
def environment(platform):
    put(platform)
    found = platform.environments["shop", "Test"]
    found.constants |= {"Shop.Url": "https://old.example", "Shop.ApiKey": OLD_SECRET, "Shop.Days": "14"}
    found.scheduled_events["Shop.Nightly"] = "Disabled"
    found.custom_settings["SourceDatabaseName"] = "shop"
    return found


@pytest.fixture
def logged(caplog, capsys):
    """Return everything that was logged so far."""
    caplog.set_level("DEBUG")
    return lambda: caplog.text + capsys.readouterr().out


def test_values_are_merged_by_name_into_what_is_there(platform, environment, context, logged):
    operator = update(
        constants={"Shop.Url": "https://new.example", "Shop.Days": 21},
        scheduled_events={"Shop.Nightly": "Enabled"},
    )

    assert operator.execute(context) == {
        "environment": "Test",
        "status": "Stopped",
        "changed": {
            "constants": ["Shop.Days", "Shop.Url"],
            "custom_settings": [],
            "scheduled_events": ["Shop.Nightly"],
        },
        "restart_needed": False,
        "dry_run": False,
    }
    assert environment.constants == {
        "Shop.Url": "https://new.example",
        "Shop.ApiKey": OLD_SECRET,
        "Shop.Days": "21",
    }
    assert environment.scheduled_events == {"Shop.Nightly": "Enabled"}
    assert environment.custom_settings == {"SourceDatabaseName": "shop"}
    assert posts(platform) == ["settings"]
    log = logged()
    assert "Changing constant Shop.Url: 'https://old.example' -> 'https://new.example'" in log
    assert "Changing constant Shop.Days: '14' -> '21'" in log
    assert OLD_SECRET not in log


def test_nothing_is_sent_if_nothing_changes(platform, environment, context, logged):
    values = {"Shop.Url": "https://old.example", "Shop.Days": 14}
    result = update(constants=values, custom_settings={}).execute(context)
    assert not any(result["changed"].values())
    assert posts(platform) == []
    assert "Nothing to change: environment Test of app shop has these settings." in logged()


@pytest.mark.parametrize(
    ("data_type", "there", "given"),
    [
        ("Boolean", "True", True),
        ("Boolean", "false", False),
        ("Decimal", "1.50", 1.5),
        ("Integer", "007", 7),
        ("String", "1.50", "1.50"),
    ],
)
def test_a_value_may_have_another_form(platform, environment, context, data_type, there, given):
    environment.constants["Shop.Value"] = there
    environment.data_types["Shop.Value"] = data_type
    update(constants={"Shop.Value": given}).execute(context)
    assert posts(platform) == []


@pytest.mark.parametrize(
    ("data_type", "there", "given"),
    [("String", "1.50", 1.5), ("Boolean", "True", False), ("Decimal", "1.5", "none of it"), ("String", None, "x")],
)
def test_another_value_is_sent(platform, environment, context, data_type, there, given):
    environment.constants["Shop.Value"] = there
    environment.data_types["Shop.Value"] = data_type
    update(constants={"Shop.Value": given}).execute(context)
    assert posts(platform) == ["settings"]


class TestSecrets:
    @pytest.fixture(autouse=True)
    def stored(self, monkeypatch):
        monkeypatch.setenv("AIRFLOW_VAR_SHOP_SETTING", SECRET)
        extra = {"region": SECRET, "port": None, "on": True}
        stored = {"conn_type": "http", "login": "ana", "password": SECRET, "host": "h", "port": 25, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_MAIL", json.dumps(stored))

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ({"variable": "shop_setting"}, SECRET),
            ({"connection": "mail"}, SECRET),
            ({"connection": "mail", "field": "password"}, SECRET),
            ({"connection": "mail", "field": "login"}, "ana"),
            ({"connection": "mail", "field": "port"}, "25"),
            ({"connection": "mail", "field": "region"}, SECRET),
            ({"connection": "mail", "field": "on"}, "true"),
        ],
    )
    @pytest.mark.parametrize("dry_run", [True, False])
    def test_a_value_is_found_when_the_task_runs_and_never_shown(
        self, environment, context, logged, source, expected, dry_run
    ):
        operator = update(constants={"Shop.Url": source}, dry_run=dry_run)

        result = operator.execute(context)

        assert environment.constants["Shop.Url"] == ("https://old.example" if dry_run else expected)
        log = logged()
        assert "constant Shop.Url: value not shown" in log
        shown = log + repr(result) + repr(operator.constants) + repr(context["ti"].xcoms)
        assert SECRET not in shown
        assert "https://old.example" not in shown

    @pytest.mark.parametrize(
        "name", ["Shop.ApiKey", "Encryption.EncryptionKey", "Shop.MailPassword", "Shop.SasToken", "Shop.DbPwd"]
    )
    def test_the_value_of_a_name_that_looks_secret_is_not_shown(self, environment, context, logged, name):
        environment.constants[name] = OLD_SECRET
        update(constants={name: SECRET}).execute(context)
        log = logged()
        assert f"Changing constant {name}: value not shown" in log
        assert SECRET not in log
        assert OLD_SECRET not in log

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            ({"variable": "nope"}, "constant Shop.Url: Airflow variable 'nope' is missing or empty"),
            ({"connection": "mail", "field": "schema"}, "field 'schema' of Airflow connection 'mail' is missing"),
            ({"connection": "nope"}, "nope"),
        ],
    )
    def test_a_missing_one_fails_before_any_request(self, platform, environment, context, source, says):
        """A secrets backend may have failed, so a retry of the task may help."""
        with pytest.raises(AirflowNotFoundException, match=says):
            update(constants={"Shop.Url": source}).execute(context)
        assert len(platform.journal) == 0

    @pytest.mark.parametrize(
        "source",
        [
            {"var": "x"},
            {},
            {"variable": "x", "field": "password"},
            {"connection": "mail", "feild": "x"},
            {"variable": None},
            {"variable": "None"},
            {"variable": 7},
        ],
    )
    def test_an_unknown_source_is_refused(self, platform, context, source):
        with pytest.raises(AirflowFailException, match=r"constant Shop.Url has .*\{'variable': key\}") as failed:
            update(constants={"Shop.Url": source}).execute(context)
        assert isinstance(failed.value.__context__, InvalidInputError)
        assert len(platform.journal) == 0

    @pytest.mark.parametrize(
        "template",
        [
            "{{ var.value.shop_setting }}",
            "x{{conn.mail.password}}",
            "{% if var.json.a %}1{% endif %}",
            "{{ conn['m'] }}",
        ],
    )
    def test_a_template_that_reads_one_is_refused_when_the_dag_is_parsed(self, template):
        with pytest.raises(ValueError, match=r"Shop\.Url reads a variable or connection.*\{'variable': key\}"):
            update(constants={"Shop.Url": template})
        with pytest.raises(ValueError, match="constants: the template of all"):
            update(constants=template)


class TestWhatIsGiven:
    def test_templates_are_rendered_in_values(self, environment, context):
        with DAG("dag"):
            operator = update(
                constants={"Shop.Url": "https://{{ host }}", "Shop.Days": {"variable": "{{ key }}"}},
                custom_settings="{{ custom | tojson }}",
            )
        operator.render_template_fields({"host": "h", "key": "k", "custom": {"A": "<'&\">"}})
        assert operator.constants == {"Shop.Url": "https://h", "Shop.Days": {"variable": "k"}}
        assert json.loads(operator.custom_settings) == {"A": "<'&\">"}

    def test_the_text_of_a_json_object_is_read(self, environment, context):
        update(constants='{"Shop.Url": "https://json.example", "Shop.Days": 30}').execute(context)
        assert environment.constants["Shop.Url"] == "https://json.example"
        assert environment.constants["Shop.Days"] == "30"

    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ("{'Shop.Url': 'x'}", "constants cannot be text, unless it is that of a JSON object"),
            ("[]", "constants must be values by name"),
            (["Shop.Url"], "constants must be values by name"),
            ({"": "x"}, "constants must be values by name"),
            ({7: "x"}, "constants must be values by name"),
            ({"Shop.Url": None}, "constant Shop.Url cannot be of type NoneType"),
            ({"Shop.Url": ["x"]}, "constant Shop.Url cannot be of type list"),
        ],
    )
    def test_what_is_no_value_is_refused_before_any_request(self, platform, context, values, says):
        with pytest.raises(AirflowFailException, match=says) as failed:
            update(constants=values).execute(context)
        assert isinstance(failed.value.__context__, InvalidInputError)
        assert len(platform.journal) == 0

    @pytest.mark.parametrize("rendered", ["", " ", "None", "undefined"])
    def test_a_value_that_went_missing_is_refused(self, platform, context, rendered):
        with DAG("dag"):
            operator = update(constants={"Shop.Url": "{{ value }}"})
        operator.render_template_fields({"value": rendered})
        with pytest.raises(AirflowFailException, match=r"constant Shop\.Url is empty .*Write '' in the DAG"):
            operator.execute(context)
        assert len(platform.journal) == 0

    @pytest.mark.parametrize("written", ["", "None", "none"])
    def test_a_value_that_is_written_so_is_sent(self, environment, context, written):
        update(constants={"Shop.Url": written}).execute(context)
        assert environment.constants["Shop.Url"] == written

    def test_something_must_be_given(self):
        with pytest.raises(ValueError, match="Give constants, custom_settings or scheduled_events"):
            update()


class TestRefusals:
    def test_an_unknown_name_is_named(self, environment, context):
        with pytest.raises(
            AirflowFailException, match=r"Not among .* shows: constant Shop\.Ulr\..*CONSTANT_NOT_FOUND"
        ) as failed:
            update(constants={"Shop.Ulr": "x", "Shop.Url": "y"}).execute(context)
        assert isinstance(failed.value.__context__, InvalidRequestError)
        assert environment.constants["Shop.Url"] == "https://old.example"

    def test_another_refusal_is_explained(self, environment, context):
        with pytest.raises(AirflowFailException, match="another value.*INVALID_SCHEDULED_EVENT_PARAMETER"):
            update(scheduled_events={"Shop.Nightly": "on"}).execute(context)

    def test_an_unknown_environment_is_refused_with_the_known_ones(self, context):
        with pytest.raises(AirflowFailException, match="'Test', 'Acceptance', 'Production'") as failed:
            update(environment="test", constants={"A.B": "x"}).execute(context)
        assert isinstance(failed.value.__context__, EnvironmentNotFoundError)

    def test_production_is_guarded(self, platform, context):
        platform.environments["shop", "Production"].constants["A.B"] = "1"
        values = {"environment": "Production", "constants": {"A.B": "2"}}
        with pytest.raises(AirflowFailException, match="Refused to change the settings of .*production") as failed:
            update(**values).execute(context)
        assert isinstance(failed.value.__context__, ProductionRefusedError)
        assert posts(platform) == []
        update(**values, dry_run=True).execute(context)
        assert posts(platform) == []
        update(**values, allow_production=True).execute(context)
        assert posts(platform) == ["settings"]

    def test_a_change_that_mendix_does_not_show_is_no_success(self, environment, context):
        class Unchanged(dict):
            def update(self, *_: Any) -> None:
                """Keep everything as it is."""

        environment.constants = Unchanged(environment.constants)
        with pytest.raises(AirflowFailException, match=r"shows other values of constant Shop\.Url\.") as failed:
            update(constants={"Shop.Url": "https://new.example"}).execute(context)
        assert isinstance(failed.value.__context__, EnvironmentStateError)


class TestAgain:
    def test_after_a_lost_response_it_reads_again(self, platform, environment, context):
        with platform.faults.add("reply_lost", on="set_settings"):
            result = update(constants={"Shop.Url": "https://new.example"}).execute(context)
        assert posts(platform) == ["settings"]
        assert result["changed"]["constants"] == ["Shop.Url"]

    def test_a_call_that_never_arrived_is_sent_again(self, platform, environment, context, clock):
        began = clock.now()
        with platform.faults.add("connection_reset", on="set_settings", times=2):
            update(constants={"Shop.Url": "https://new.example"}).execute(context)
        assert environment.constants["Shop.Url"] == "https://new.example"
        assert clock.now() - began == pytest.approx(60)

    def test_it_gives_up_when_time_is_up(self, platform, environment, context):
        with (
            platform.faults.add("bad_gateway", times=None),
            pytest.raises(OutageError, match="change the settings"),
        ):
            update(constants={"Shop.Url": "x"}, outage_tolerance=90).execute(context)


class TestDryRun:
    def test_it_shows_the_difference_and_changes_nothing(self, platform, environment, context, logged):
        result = update(constants={"Shop.Url": "x", "Shop.New": "y"}, dry_run=True).execute(context)
        assert posts(platform) == []
        assert (result["dry_run"], result["changed"]["constants"]) == (True, ["Shop.New", "Shop.Url"])
        log = logged()
        assert "Would change constant Shop.Url: 'https://old.example' -> 'x'" in log
        assert "Would change constant Shop.New: not in Mendix -> 'y'" in log

    def test_constants_without_a_value_are_named(self, environment, context, logged):
        environment.constants |= {"Shop.One": None, "Shop.Two": None}
        update(constants={"Shop.One": "x"}, dry_run=True).execute(context)
        assert "Constants without a value: Shop.Two. A start fails" in logged()


class TestRestart:
    @pytest.fixture
    def running(self, platform, environment):
        environment.running_package_id = environment.package_id
        environment.deployed_values = {"Shop.Url": "https://old.example", "Shop.Days": "14"}
        return environment

    def test_a_running_app_needs_one_to_use_other_values(self, running, context):
        changed = update(constants={"Shop.Url": "https://new.example"})
        assert changed.execute(context)["restart_needed"] is True
        again = update(constants={"Shop.Url": "https://new.example"}).execute(context)
        assert not any(again["changed"].values())
        assert again["restart_needed"] is True

    def test_it_needs_none_if_it_runs_with_these_values(self, running, context):
        assert update(constants={"Shop.Url": "https://old.example"}).execute(context)["restart_needed"] is False

    def test_a_custom_setting_counts_when_it_is_changed(self, running, context):
        """Mendix does not show with which value the app runs."""
        changed = update(custom_settings={"SourceDatabaseName": "other"})
        assert changed.execute(context)["restart_needed"] is True
        assert changed.execute(context)["restart_needed"] is False
