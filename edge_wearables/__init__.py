"""The entrance for signals and the exit for models: devices, batches, vendor formats."""
