"""Fail a task at once where a retry cannot help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import wrap
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_mendix import exceptions
from airflow_provider_mendix.exceptions import MendixError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, ExceptionRetryPolicy

__all__ = ["explain", "fail_without_retry", "mendix_retry_policy"]

_WIDTH = 110


@contextmanager
def fail_without_retry(operator: BaseOperator) -> Iterator[None]:
    """Raise ``AirflowFailException`` for a final error, unless the task has a retry policy of its own.

    Airflow does not ask a retry policy about ``AirflowFailException``, and has no retry policies below 3.3. The
    final error is the ``__context__`` of the exception: as its cause, it would be printed with a traceback too.

    An operator names in ``retried_errors`` the final errors that another try of it may fix.
    """
    with explain(operator):
        try:
            yield
        except MendixError as error:
            is_final = error.final and not isinstance(error, getattr(operator, "retried_errors", ()))
            if not is_final or getattr(operator, "retry_policy", None) is not None:
                raise
            raise AirflowFailException(f"{type(error).__name__}: {error}") from None


@contextmanager
def explain(operator: BaseOperator) -> Iterator[None]:
    """Log the reason of a failure in lines that fit on a screen, before Airflow prints one traceback.

    Airflow's page does not wrap lines, and its own line begins with the name of a class.
    """
    try:
        yield
    except (MendixError, AirflowFailException, AirflowSensorTimeout) as failure:
        error = failure if isinstance(failure, MendixError) else failure.__context__
        if isinstance(error, MendixError):
            operator.log.error("\n".join(wrap(str(error), _WIDTH, break_long_words=False, break_on_hyphens=False)))
            failure.__cause__, failure.__suppress_context__ = None, True
        raise


def mendix_retry_policy() -> ExceptionRetryPolicy:
    """Return a retry policy for Airflow 3.3 and newer: final errors fail at once, others use the task's settings.

    The operators of this provider behave so by themselves. Use the policy as the basis of your own.
    """
    from airflow.providers.common.compat.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

    kinds = (getattr(exceptions, name) for name in exceptions.__all__)
    final: list[type[BaseException] | str] = [
        f"{kind.__module__}.{kind.__qualname__}" for kind in kinds if getattr(kind, "final", False)
    ]
    return ExceptionRetryPolicy(
        rules=[RetryRule(exception=final, action=RetryAction.FAIL, reason="A retry cannot fix this error.")]
    )
