"""The ML side: framework-free inside, with a Django shell (`models.registry`) around it.

Examples are pushed to it; it never asks for data.
"""
