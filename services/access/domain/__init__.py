"""The rules of accounts, sign-ins, roles and rights.  Secrets come here hashed or encrypted, never as they are."""
