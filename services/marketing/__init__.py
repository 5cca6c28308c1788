"""Campaigns, and what is known of the market."""
