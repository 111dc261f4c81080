"""The patient's record and the four loops: readings become recommendations, and people decide."""
