"""What the commands of the access service do, by topic."""
