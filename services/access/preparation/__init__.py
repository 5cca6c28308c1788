"""What is done before and after the writer for commands with secrets, by topic (`chassis.model.middleware`)."""
