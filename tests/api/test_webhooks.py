"""The Webhooks API: what each call sends and reads, what Mendix refuses, and secrets that are never shown."""

from __future__ import annotations

import json

import msgspec
import pytest
from rich.pretty import pretty_repr

from airflow_provider_mendix.api import webhooks
from airflow_provider_mendix.api.app_repository import Cursors
from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.api.webhooks import Header, Webhook, Webhooks
from airflow_provider_mendix.exceptions import (
    ForbiddenError,
    InvalidConnectionError,
    InvalidInputError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    ServiceUnavailableError,
    UnauthorizedError,
)

from ..wire import SAMPLES
from .checks import CANARY, check_call, check_fields, check_malformed, check_unknown_keys, endpoints, shown

PROJECT_ID = "76ef1b0f-4050-4810-a159-cb419268636c"
PATH = f"/api/v1/apps/{PROJECT_ID}/webhooks"
ID = "mxep_mfiHo9gZw6RcGisubUfhyfuCllim5q"
SECRET = "PMJhiGo1nTL6wlNyZVFh5v9rLZdcLsG2O"
URL = "https://some.domain.com/webhooks"
VALUE = "Beaerer DG4R4GT6R43"
LISTED = Webhook(id=ID, name="string", url=URL, event_types=("teamserver.push",), is_active=True)
WEBHOOK = msgspec.structs.replace(LISTED, validation_secret=SECRET, headers=(Header("Authorization", VALUE),))
SETTINGS = {"name": "string", "url": URL, "event_types": ["teamserver.push"], "validation_secret": SECRET}
LIST = webhooks.list_webhooks(PROJECT_ID)
CREATE = webhooks.create_webhook(PROJECT_ID, **SETTINGS, headers={"Authorization": VALUE})
GET = webhooks.get_webhook(PROJECT_ID, ID)
UPDATE = webhooks.update_webhook(PROJECT_ID, WEBHOOK)
DELETE = webhooks.delete_webhook(PROJECT_ID, ID)
BODY = json.loads((SAMPLES / "webhooks" / "upsert_webhook_request.json").read_text())
CURSORS = Cursors(prev="812c54b4-181f-4c58-9c8f-aeca6cf9eb08", next="e8151c8a-3682-4346-85f9-d976e441c254")

CALLS = [
    (LIST, PATH, None, "webhooks/webhooks.json", Webhooks(items=[LISTED], cursors=CURSORS)),
    (
        webhooks.list_webhooks(PROJECT_ID, cursor="a b="),
        f"{PATH}?cursor=a+b%3D",
        None,
        "webhooks/webhooks.json",
        Webhooks(items=[LISTED], cursors=CURSORS),
    ),
    (CREATE, PATH, BODY, "webhooks/webhook.json", WEBHOOK),
    (GET, f"{PATH}/{ID}", None, "webhooks/webhook.json", WEBHOOK),
    (UPDATE, f"{PATH}/{ID}", BODY, "webhooks/webhook.json", None),
    (UPDATE, f"{PATH}/{ID}", BODY, None, None),
    (DELETE, f"{PATH}/{ID}", None, None, None),
]
FIELDS = [
    (Webhooks, "webhooks/webhooks.json", (), set()),
    (Cursors, "webhooks/webhooks.json", ("cursors",), {"first", "last"}),
    (Webhook, "webhooks/webhooks.json", ("webhooks", 0), {"validationSecret", "headers"}),
    (Webhook, "webhooks/webhook.json", (), set()),
    (Header, "webhooks/webhook.json", ("headers", 0), set()),
]


@pytest.mark.parametrize(("call", "target", "body", "answer", "expected"), CALLS)
def test_documented_call(mendix, sample, call, target, body, answer, expected):
    check_call(mendix, call, target, sample(answer) if answer else b"", expected, body)


def test_every_endpoint_is_called():
    assert endpoints(webhooks) == [call.endpoint for call in (LIST, CREATE, GET, UPDATE, DELETE)]


@pytest.mark.parametrize(("kind", "answer", "path", "elsewhere"), FIELDS)
def test_every_documented_field_is_read(sample, kind, answer, path, elsewhere):
    check_fields(sample(answer), path, kind, elsewhere)


@pytest.mark.parametrize("call", [LIST, CREATE, GET])
def test_unknown_keys_change_nothing(mendix, sample, call):
    answer = "webhooks/webhooks.json" if call is LIST else "webhooks/webhook.json"
    check_unknown_keys(mendix, call, json.loads(sample(answer)))


def test_only_a_few_fields_are_set_by_default():
    call = webhooks.create_webhook(PROJECT_ID, **{**SETTINGS, "event_types": "package.uploaded"})
    assert call.body == {key: BODY[key] for key in BODY if key != "headers"} | {"eventTypes": ["package.uploaded"]}
    assert webhooks.create_webhook(PROJECT_ID, **SETTINGS, is_active=False).body["isActive"] is False


@pytest.mark.parametrize("call", [LIST, CREATE, GET, UPDATE, DELETE], ids=str)
@pytest.mark.parametrize(
    ("name", "status", "kind", "transient", "says"),
    [
        ("400", 400, InvalidRequestError, False, "Request validation errors: Value 'other' is not supported."),
        ("401", 401, UnauthorizedError, False, "Unauthorized: Missing or invalid Authorization header. Check the"),
        (
            "403",
            403,
            ForbiddenError,
            False,
            "Forbidden: The token is not accepted. Check that the personal access",
        ),
        ("404_app", 404, NotFoundError, False, f"App not found: Application '{PROJECT_ID}' not found."),
        ("404_webhook", 404, NotFoundError, False, f"Webhook not found: Webhook '{ID}' not found. Check the"),
        ("500", 500, ServiceUnavailableError, True, "A system error occurred."),
    ],
)
def test_documented_refusal(mendix, sample, call, name, status, kind, transient, says):
    error = mendix.refusal(call, sample(f"webhooks/error_{name}.json"), status)

    assert type(error) is kind
    assert (error.status, error.transient) == (status, transient)
    assert str(error).startswith(f"{kind.summary}: {says}")
    assert str(error).endswith(f" ({call}: HTTP {status})")
    assert ("mx:webhook:write" in str(error)) is (status == 403)
    assert error.outcome_unknown is (status == 500 and not call.endpoint.repeatable)


@pytest.mark.parametrize(
    "error",
    ["no object", ["a list"], {"message": 5}, {"invalid-params": "text"}, {"invalid-params": [{"reason": None}]}],
)
def test_an_error_of_another_shape_is_an_error_all_right(mendix, error):
    assert str(mendix.refusal(GET, {"error": error}, 404)).endswith(f" ({GET}: HTTP 404)")
    assert "Of old." in str(mendix.refusal(GET, {"error": error, "errorMessage": "Of old."}, 404))


def test_the_rate_limit_says_when_it_ends(mendix):
    reset = {"X_RateLimit_Limit": "100", "X_RateLimit_Remaining": "0"}
    error = mendix.refusal(LIST, {"id": "x"}, 429, **reset, X_RateLimit_Reset="4102444800")
    assert type(error) is RateLimitedError
    assert error.retry_after > 10**6
    assert mendix.refusal(LIST, b"", 429, **reset, X_RateLimit_Reset="1").retry_after is None
    assert mendix.refusal(LIST, b"", 429, **reset, X_RateLimit_Reset="soon").retry_after is None
    assert mendix.refusal(LIST, b"", 429, X_RateLimit_Reset="4102444800", Retry_After="7").retry_after == 7


def test_without_a_token_nothing_is_sent(mendix):
    with pytest.raises(InvalidConnectionError, match="The Webhooks API needs a personal access token"):
        mendix.send(LIST, personal_access_token=None)
    assert mendix.wires[Host.WEBHOOKS].requests == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "a-b"}, "name 'a-b' is not the name of a webhook"),
        ({"name": ""}, "name '' is not"),
        ({"name": None}, "name None is not"),
        ({"url": "some.domain.com"}, "url is not a URL"),
        ({"url": "https://"}, "url is not a URL"),
        ({"url": "https://["}, "url is not a URL"),
        ({"url": None}, "url is not a URL"),
        ({"event_types": []}, "event_types names no event. Use teamserver.push"),
        ({"event_types": ""}, "event_types names no event"),
        ({"event_types": [None]}, "event_types names no event"),
        ({"validation_secret": "short-canary"}, "validation_secret is not the secret of a webhook"),
        ({"validation_secret": "canary" * 17}, "validation_secret is not the secret"),
        ({"validation_secret": "canary-" * 6}, "validation_secret is not the secret"),
        ({"validation_secret": None}, "get the one to update"),
    ],
)
def test_a_wrong_value_is_refused_before_any_request(changes, says):
    with pytest.raises(InvalidInputError) as refused:
        webhooks.create_webhook(PROJECT_ID, **{**SETTINGS, **changes})
    assert says in str(refused.value)
    assert "canary" not in str(refused.value)


def test_a_webhook_from_the_list_has_too_little_for_an_update():
    with pytest.raises(InvalidInputError, match="The list of webhooks has no secrets"):
        webhooks.update_webhook(PROJECT_ID, LISTED)


@pytest.mark.parametrize("webhook_id", ["", "..", "a/b", "a b", None])
@pytest.mark.parametrize("call", [webhooks.get_webhook, webhooks.delete_webhook])
def test_an_id_that_is_none_is_refused(call, webhook_id):
    with pytest.raises(InvalidInputError, match="Use the id that Mendix returned"):
        call(PROJECT_ID, webhook_id)


def test_secrets_are_not_shown():
    page = Webhooks(items=[WEBHOOK])
    everything = [repr(thing) + str(thing) + pretty_repr(thing) for thing in (WEBHOOK, page, CREATE, UPDATE)]
    assert not any(SECRET in text or "DG4R4GT6R43" in text for text in everything)
    assert ID in repr(page)


@pytest.mark.parametrize("call", [CREATE, UPDATE])
@pytest.mark.parametrize("status", [400, 500])
def test_a_refusal_that_repeats_the_secrets_is_shown_without_them(mendix, call, status):
    reasons = [{"name": "validation", "reason": f"{SECRET} and {VALUE} are refused"}]
    error = mendix.refusal(call, {"error": {"code": status, "message": "No", "invalid-params": reasons}}, status)
    assert "No: *** and *** are refused" in str(error)
    assert SECRET not in shown(error)
    assert VALUE not in shown(error)


@pytest.mark.parametrize("answer", [b"", b"[]", {"id": ID}, {"id": ID, "validationSecret": CANARY}])
@pytest.mark.parametrize("call", [CREATE, GET])
def test_a_webhook_that_cannot_be_read_is_not_quoted(mendix, call, answer):
    check_malformed(mendix, call, answer, "")
