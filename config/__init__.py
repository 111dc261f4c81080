"""Wiring: settings, urls, Celery, the embedded services. Nothing imports this package."""
