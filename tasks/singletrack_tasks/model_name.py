"""The names of models as Ollama reads them: short and long forms of one name, in any case."""

_HOST, _NAMESPACE, _TAG = "registry.ollama.ai", "library", "latest"
_SCHEME = "://"


def full_name(name: str) -> str:
    """Return a model's name with its registry, namespace and tag, in lower case: the form in which names are compared.

    `eye`, `library/Eye` and `registry.ollama.ai/library/eye:latest` are one name.
    """
    path, tag = name.strip(), _TAG
    if path.rfind(":") > path.rfind("/"):  # a colon further left belongs to the port of a registry
        path, _, tag = path.rpartition(":")
    parts = (path.partition(_SCHEME)[2] if _SCHEME in path else path).split("/")
    missing = (_HOST, _NAMESPACE)[: max(0, 3 - len(parts))]
    return f"{'/'.join([*missing, *parts])}:{tag or _TAG}".casefold()


def is_same_name(one: str, other: str) -> bool:
    """Return whether Ollama takes two names for the same one."""
    return full_name(one) == full_name(other)
