"""The hypertension pathway: its tables of drugs, limits, danger and averaging."""
