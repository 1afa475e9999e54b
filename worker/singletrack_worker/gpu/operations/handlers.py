"""The handler of each request."""

from collections.abc import Mapping
from typing import Any

from singletrack_tasks.requests.catalogue import REQUESTS
from singletrack_tasks.requests.embedding import EmbedImages, EmbedTexts, FindClip
from singletrack_tasks.requests.intents import AnnounceVlm, WithdrawVlm
from singletrack_tasks.requests.mode import SetMode
from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.requests.request import Request
from singletrack_tasks.requests.upkeep import Tick
from singletrack_tasks.requests.vlm import Ask, LoadVlm, UnloadVlm
from singletrack_worker.gpu.operations.ask import AskHandler
from singletrack_worker.gpu.operations.embed import EmbedImagesHandler, EmbedTextsHandler, FindClipHandler
from singletrack_worker.gpu.operations.handler import Handler, Workbench
from singletrack_worker.gpu.operations.intents import AnnounceVlmHandler, WithdrawVlmHandler
from singletrack_worker.gpu.operations.mode import SetModeHandler
from singletrack_worker.gpu.operations.ping import PingHandler
from singletrack_worker.gpu.operations.upkeep import TickHandler
from singletrack_worker.gpu.operations.vlm import LoadVlmHandler, UnloadVlmHandler

HANDLERS: Mapping[type[Request[Any]], type[Handler[Any, Any]]] = {
    SetMode: SetModeHandler,
    Ask: AskHandler,
    LoadVlm: LoadVlmHandler,
    UnloadVlm: UnloadVlmHandler,
    AnnounceVlm: AnnounceVlmHandler,
    WithdrawVlm: WithdrawVlmHandler,
    EmbedImages: EmbedImagesHandler,
    EmbedTexts: EmbedTextsHandler,
    FindClip: FindClipHandler,
    Tick: TickHandler,
    Ping: PingHandler,
}


def make_handlers(bench: Workbench) -> dict[type[Request[Any]], Handler[Any, Any]]:
    """Make a handler for each request; raises `LookupError` if `HANDLERS` lacks one."""
    if missing := [request.__name__ for request in REQUESTS if request not in HANDLERS]:
        raise LookupError(f"no handler for {', '.join(missing)}: enter it in HANDLERS")
    return {request: HANDLERS[request](bench) for request in REQUESTS}
