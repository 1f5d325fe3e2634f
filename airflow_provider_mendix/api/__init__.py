"""Mendix's REST APIs as data: no Airflow in here, and no I/O outside `clients`."""
