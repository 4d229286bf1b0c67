from patience_runs import begin, home  # noqa: F401 - fixtures
