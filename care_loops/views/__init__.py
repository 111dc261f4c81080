"""The clinician's pages: parse, read the clock, make one call, translate the answer."""
