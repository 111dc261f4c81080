"""The long figures: the same trials as in the tests, with the full numbers, each beside a seeded defect it must catch."""
