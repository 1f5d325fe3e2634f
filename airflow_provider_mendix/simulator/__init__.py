"""A Mendix Cloud on your laptop: for the demo, for tests, and for your own tests of your DAGs."""

from airflow_provider_mendix.simulator.deliveries import DeliveredWebhook, deliver
from airflow_provider_mendix.simulator.faults.catalog import Fault
from airflow_provider_mendix.simulator.faults.registry import ActiveFault, Faults, InvalidFaultError
from airflow_provider_mendix.simulator.inprocess import install
from airflow_provider_mendix.simulator.journal import Entry, Journal
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.apps import InvalidAppError
from airflow_provider_mendix.simulator.state.environments import (
    DeploymentTimeline,
    InvalidEnvironmentError,
    StoredEnvironment,
)
from airflow_provider_mendix.simulator.state.packages import BuildOutcome, Timeline
from airflow_provider_mendix.simulator.state.planned import InvalidOutcomeError
from airflow_provider_mendix.simulator.state.repositories import Commit, InvalidBranchError
from airflow_provider_mendix.simulator.state.webhooks import StoredWebhook
from airflow_provider_mendix.simulator.wire import Reply, Request

__all__ = [
    "ActiveFault",
    "BuildOutcome",
    "Commit",
    "DeliveredWebhook",
    "DeploymentTimeline",
    "Entry",
    "Fault",
    "Faults",
    "InvalidAppError",
    "InvalidBranchError",
    "InvalidEnvironmentError",
    "InvalidFaultError",
    "InvalidOutcomeError",
    "Journal",
    "Options",
    "Platform",
    "Reply",
    "Request",
    "Server",
    "StoredEnvironment",
    "StoredWebhook",
    "Timeline",
    "deliver",
    "install",
]
