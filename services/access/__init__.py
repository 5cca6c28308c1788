"""The access service: who people are and what they may do (features SEC-01..22, SET-06)."""
