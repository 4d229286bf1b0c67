from patience_runs import begin, home  # noqa: F401 - fixtures
from waiting_runs import alive, planned  # noqa: F401 - fixtures
