"""A simulated Mendix Cloud without sockets: it handles requests by a clock that is handed in."""

from __future__ import annotations

from airflow_provider_mendix.clock import Clock, SystemClock
from airflow_provider_mendix.simulator.apis.dispatch import respond
from airflow_provider_mendix.simulator.faults.registry import Faults
from airflow_provider_mendix.simulator.journal import Journal, entry
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.wire import Reply, Request


class Platform:
    """What Mendix knows, what goes wrong, and every request so far.

    :param clock: builds proceed and links expire by it.
    :ivar cloud: what Mendix knows; its parts are also here by their own names.
    :ivar faults: what goes wrong.
    :ivar journal: every request so far.
    """

    def __init__(self, clock: Clock | None = None, *, options: Options | None = None) -> None:
        self.cloud = Cloud(clock or SystemClock(), options or Options())
        self.clock = self.cloud.clock
        self.apps = self.cloud.apps
        self.permissions = self.cloud.permissions
        self.repositories = self.cloud.repositories
        self.packages = self.cloud.packages
        self.environments = self.cloud.environments
        self.backups = self.cloud.backups
        self.webhooks = self.cloud.webhooks
        self.add_app = self.cloud.add_app
        self.journal = Journal()
        self.faults = Faults(self.clock, self.packages)
        self.packages.stuck_since = self.faults.stuck_since

    def handle(self, request: Request) -> Reply:
        """Handle one request, and add it to the journal."""
        with self.cloud.lock:
            reply, faults = self.faults.apply(request, lambda changed: respond(self.cloud, changed))
            self.journal.append(entry(request, reply, self.clock.now(), faults))
        return reply
