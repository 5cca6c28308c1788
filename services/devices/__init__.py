"""The devices service: work phones, their policies and remote wipe (features SEC-23..29)."""
