"""Leads (LED-01..08, LED-12, LED-14): who may become a customer, and whose they are."""
