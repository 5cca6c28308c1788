"""One module for each question people ask; each declares VIEW (see `chassis.model.views`)."""
