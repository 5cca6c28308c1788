"""Files that people give: received piece by piece, kept in a folder or by an S3-compatible service (ADR 0043)."""
