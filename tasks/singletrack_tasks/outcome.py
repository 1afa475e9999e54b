"""What a task gives to Celery: JSON for the caller, and a line for whoever watches."""

from typing import Any

from singletrack_tasks.result import OperationResult


class TaskReturn:
    """A result on its way to the caller, which logs and Flower show as its summary and nothing else.

    It is no dict, since Celery shows what is in a dict whatever the dict says of itself.
    """

    __slots__ = ("_data", "_summary")

    def __init__(self, result: OperationResult) -> None:
        self._data = result.dump()
        self._summary = result.summary

    def __json__(self) -> dict[str, Any]:
        """Give the result as a JSON object; kombu's encoder asks for it."""
        return self._data

    def __repr__(self) -> str:
        return self._summary
