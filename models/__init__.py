"""The machine-learning side: plain Python inside, and `registry`, the one installed app around it."""
