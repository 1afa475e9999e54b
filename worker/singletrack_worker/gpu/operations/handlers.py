"""The handler of each request."""

from collections.abc import Mapping
from typing import Any

from singletrack_tasks.embedding import EmbedImages, EmbedTexts, FindClip
from singletrack_tasks.mode import SetMode
from singletrack_tasks.ping import Ping
from singletrack_tasks.request import Request
from singletrack_tasks.upkeep import Tick
from singletrack_tasks.vlm import Ask, LoadVlm, UnloadVlm
from singletrack_worker.gpu.operations.ask import AskHandler
from singletrack_worker.gpu.operations.embed import EmbedImagesHandler, EmbedTextsHandler, FindClipHandler
from singletrack_worker.gpu.operations.handler import Handler
from singletrack_worker.gpu.operations.mode import SetModeHandler
from singletrack_worker.gpu.operations.ping import PingHandler
from singletrack_worker.gpu.operations.upkeep import TickHandler
from singletrack_worker.gpu.operations.vlm import LoadVlmHandler, UnloadVlmHandler

HANDLERS: Mapping[type[Request[Any]], type[Handler[Any, Any]]] = {
    SetMode: SetModeHandler,
    Ask: AskHandler,
    LoadVlm: LoadVlmHandler,
    UnloadVlm: UnloadVlmHandler,
    EmbedImages: EmbedImagesHandler,
    EmbedTexts: EmbedTextsHandler,
    FindClip: FindClipHandler,
    Tick: TickHandler,
    Ping: PingHandler,
}
