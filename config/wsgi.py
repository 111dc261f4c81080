"""The door the web server calls."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Whatever started it: a web server begins by seeing no patient's row.
os.environ["CLINAIOPS_SEES"] = "nothing"

application = get_wsgi_application()
