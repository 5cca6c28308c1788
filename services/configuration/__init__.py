"""The configuration service (features CFG-01, CFG-02, CFG-08, CFG-09): what a company makes of what is declared."""
