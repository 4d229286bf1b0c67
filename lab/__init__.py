"""The application: runs and their supervisors, the command line, the parts that pages share."""
