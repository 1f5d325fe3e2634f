"""A Mendix Cloud on your laptop: for the demo, for tests, and for your own tests of your DAGs."""

from airflow_provider_mendix.simulator.environments import (
    DeploymentTimeline,
    InvalidEnvironmentError,
    StoredEnvironment,
)
from airflow_provider_mendix.simulator.faults import Fault
from airflow_provider_mendix.simulator.injector import ActiveFault, Faults, InvalidFaultError
from airflow_provider_mendix.simulator.inprocess import install
from airflow_provider_mendix.simulator.journal import Entry, Journal
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.packages import Ending, Timeline
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.repositories import Commit, InvalidBranchError
from airflow_provider_mendix.simulator.routes import Reply, Request
from airflow_provider_mendix.simulator.server import Server

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
