"""The offline verifier (audit/README.md, SECURITY 3.5). Its core: `spelling`, `notes`, `archive`, `walk`."""
