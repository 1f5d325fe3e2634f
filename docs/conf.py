"""How `make docs` builds these pages. Every warning is an error there, also a link to what does not exist."""

import os
import tempfile

# Airflow writes its configuration into its home when it is first imported.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-docs-"))

from airflow_provider_mendix import __version__

project = "airflow-provider-mendix"
author = "the contributors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4
suppress_warnings = ["config.cache"]
nitpicky = True
nitpick_ignore_regex = [("py:exc", r"Airflow\w+")]
pygments_style = "friendly"

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = f"{project} {version}"
html_show_copyright = False
html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}
