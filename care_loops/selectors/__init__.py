"""What is read: the record, who may see it, lists and summaries. Nothing here writes."""
