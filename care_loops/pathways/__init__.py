"""Pathways: what is particular to one disease. Rules are shared; numbers live here, as data."""
