"""What is done at certain times: a keeper for each service that has schedules, in the process with its writer."""
