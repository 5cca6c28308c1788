"""What every other room stands on: settings, limits, logs, metrics, health, private files, slow work."""
