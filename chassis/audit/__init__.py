"""The audit log: who did what and when, which can't be changed unseen (SEC-21, ADR 0018).

`entries` says what an entry is, `chain` how entries are linked and checked, `heads` how the end of a chain is signed,
`edge` what is noted of requests that never reach a writer, `collector` brings the entries into MongoDB, where
`GET /audit` finds them, `history` tells before and after when one entry is opened.
"""
