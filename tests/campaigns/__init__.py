"""The long figures: the trials of the tests with the full numbers, each beside a seeded defect that it must catch."""
