"""The Celery application: every installed app's `tasks` module, under the settings' rules."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ["CLINAIOPS_SEES"] = "everything"

app = Celery("clinaiops")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
