"""The ML side: framework-free inside, a Django shell (`models.registry`) around it. Examples are pushed to it; it never asks."""
