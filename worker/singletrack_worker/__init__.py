"""The worker of one GPU: `celery -A singletrack_worker worker | beat | flower`."""

from typing import Any


def __getattr__(name: str) -> Any:
    # Celery's command line looks for `celery` here. It is made on demand, since encoder processes import
    # `singletrack_worker.gpu` and can do without Celery and the memory it takes.
    if name == "celery":
        from singletrack_tasks.errors import InvalidConfiguration

        try:
            from singletrack_worker.app import app
        except InvalidConfiguration as error:
            # Celery's command line would bury the one line that matters under its traceback.
            raise SystemExit(f"The worker cannot start: {error}") from None
        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
