"""A whole Airflow for tests: its processes, its REST API, runs of DAGs on it, and reports of what happened."""
