"""The states of the VLM, and the table of allowed transitions."""

from collections.abc import Mapping

from singletrack_tasks.status import ModelState

_S = ModelState

TRANSITIONS: Mapping[ModelState, Mapping[ModelState, str]] = {
    _S.UNKNOWN: {
        _S.UNLOADED: "not listed",
        _S.LOADED: "listed",
        _S.UNAVAILABLE: "no answer",
    },
    _S.UNLOADED: {
        _S.LOADING: "load",
        _S.LOADED: "somebody else loaded it",
        _S.UNLOADING: "unload to be sure",
        _S.UNAVAILABLE: "no answer",
    },
    _S.LOADING: {
        _S.LOADED: "listed",
        _S.FAILED: "three attempts failed",
        _S.UNAVAILABLE: "no answer",
    },
    _S.LOADED: {
        _S.UNLOADING: "unload",
        _S.UNLOADED: "the server let it go",
        _S.UNAVAILABLE: "no answer",
    },
    _S.UNLOADING: {
        _S.UNLOADED: "not listed, memory free",
        _S.LOADED: "still listed",
        _S.UNAVAILABLE: "no answer",
    },
    _S.FAILED: {
        _S.LOADING: "load",
        _S.LOADED: "listed after all",
        _S.UNLOADING: "unload to be sure",
        _S.UNAVAILABLE: "no answer",
    },
    _S.UNAVAILABLE: {
        _S.UNLOADED: "answers, not listed",
        _S.LOADED: "answers, listed",
        _S.LOADING: "load",
        _S.UNLOADING: "unload",
    },
}

RESIDENT = frozenset({ModelState.LOADED, ModelState.LOADING, ModelState.UNLOADING})


class IllegalTransition(RuntimeError):
    """A change of state that the table does not allow: a defect in the caller."""


class VlmLife:
    """The only place where the VLM's state is kept and assigned."""

    def __init__(self) -> None:
        self._state = ModelState.UNKNOWN

    @property
    def state(self) -> ModelState:
        """The current state."""
        return self._state

    def to(self, state: ModelState) -> None:
        """Change the state, or keep it; raises `IllegalTransition` for a change that the table does not allow."""
        if state is self._state:
            return
        if state not in TRANSITIONS[self._state]:
            raise IllegalTransition(f"{self._state} may not become {state}")
        self._state = state

    def saw(self, *, listed: bool) -> None:
        """Record whether the server lists the model; if it does not, a failed load stays FAILED."""
        if listed:
            self.to(ModelState.LOADED)
        elif self._state is not ModelState.FAILED:
            self.to(ModelState.UNLOADED)


def mermaid() -> str:
    """Draw the table as a Mermaid state diagram."""
    lines = [
        f"    {before} --> {after}: {why}"
        for before, followers in TRANSITIONS.items()
        for after, why in followers.items()
    ]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {ModelState.UNKNOWN}", *lines])
