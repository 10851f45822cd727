"""What a run says at its end: results, the challenge's checklist, tables and pictures."""
