"""A Mendix Cloud on your laptop: for the demo, for tests, and for your own tests of your DAGs."""

from airflow_provider_mendix.simulator.apis.routes import Reply, Request
from airflow_provider_mendix.simulator.faults.catalog import Fault
from airflow_provider_mendix.simulator.faults.registry import ActiveFault, Faults, InvalidFaultError
from airflow_provider_mendix.simulator.inprocess import install
from airflow_provider_mendix.simulator.journal import Entry, Journal
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.environments import (
    DeploymentTimeline,
    InvalidEnvironmentError,
    StoredEnvironment,
)
from airflow_provider_mendix.simulator.state.packages import Ending, Timeline
from airflow_provider_mendix.simulator.state.platform import Platform
from airflow_provider_mendix.simulator.state.repositories import Commit, InvalidBranchError

__all__ = [
    "ActiveFault",
    "Commit",
    "DeploymentTimeline",
    "Ending",
    "Entry",
    "Fault",
    "Faults",
    "InvalidBranchError",
    "InvalidEnvironmentError",
    "InvalidFaultError",
    "Journal",
    "Options",
    "Platform",
    "Reply",
    "Request",
    "Server",
    "StoredEnvironment",
    "Timeline",
    "install",
]
