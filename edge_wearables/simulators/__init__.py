"""People, lines and crashes for trying the entrance: seeded, labelled synthetic, without Django."""
