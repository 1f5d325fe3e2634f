"""Which failures end a task for good: another try of the same task would only meet them again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_mendix.api.errors import (
    AppNotFoundError,
    BranchNotFoundError,
    EnvironmentNotFoundError,
    EnvironmentStateError,
    ForbiddenError,
    InvalidConnectionError,
    InvalidInputError,
    InvalidRequestError,
    MendixError,
    ProductionRefusedError,
    RedirectedError,
    RestoreRefusedError,
    RevisionAlreadyBuiltError,
    RevisionNotFoundError,
    StartFailedError,
    StopFailedError,
    TransportRefusedError,
    UnauthorizedError,
    UnsafeLinkError,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, ExceptionRetryPolicy

FINAL_ERRORS = (
    InvalidInputError,
    InvalidConnectionError,
    InvalidRequestError,
    UnauthorizedError,
    ForbiddenError,
    AppNotFoundError,
    BranchNotFoundError,
    RevisionAlreadyBuiltError,
    RevisionNotFoundError,
    RedirectedError,
    UnsafeLinkError,
    EnvironmentNotFoundError,
    EnvironmentStateError,
    ProductionRefusedError,
    TransportRefusedError,
    StopFailedError,
    StartFailedError,
    RestoreRefusedError,
)


@contextmanager
def failing(operator: BaseOperator, *also: type[MendixError]) -> Iterator[None]:
    """Let final errors end the task without further tries, unless the user's own retry policy is to decide.

    Airflow asks no policy about ``AirflowFailException``, and below 3.3 there are no policies.

    :param also: errors that are final for this operator only.
    """
    try:
        yield
    except MendixError as error:
        if not isinstance(error, (*FINAL_ERRORS, *also)) or getattr(operator, "retry_policy", None) is not None:
            raise
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error


def mendix_retry_policy() -> ExceptionRetryPolicy:
    """Make a retry policy for Airflow 3.3 and newer: final errors fail at once, all others by the task's settings.

    Operators of this provider behave so by themselves; use it as a start for a policy of your own.
    """
    from airflow.providers.common.compat.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

    final: list[type[BaseException] | str] = [f"{error.__module__}.{error.__qualname__}" for error in FINAL_ERRORS]
    return ExceptionRetryPolicy(
        rules=[RetryRule(exception=final, action=RetryAction.FAIL, reason="Another try would meet it again.")]
    )
