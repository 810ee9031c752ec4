"""Prompts in ComfyUI's queue: one submitted ahead, and whether the server still works on the one that is waited for."""

import time

from stablenew.engines.comfyui.client import ComfyUIClient
from stablenew.engines.comfyui.prompt import ComfyUIPrompt, PromptBuilder
from stablenew.errors import EngineError


class PromptQueue:
    """The prompts of a stage, of which one is always submitted ahead of the one that is waited for."""

    def __init__(self, client: ComfyUIClient, client_id: str, builder: PromptBuilder, seeds: list[int]) -> None:
        self._client = client
        self._client_id = client_id
        self._builder = builder
        self._seeds = seeds
        self._submitted: dict[int, tuple[ComfyUIPrompt, str, str]] = {}

    def __len__(self) -> int:
        return len(self._seeds)

    def pop(self, number: int) -> tuple[ComfyUIPrompt, str, str]:
        """The prompt with that number, its id, and what the server left out of it; the next one is submitted too."""
        for wanted in (number, number + 1):
            if wanted not in self._submitted and wanted < len(self._seeds):
                prompt = self._builder.build(wanted, self._seeds[wanted])
                self._submitted[wanted] = prompt, *self._client.submit(prompt.graph, self._client_id)
        return self._submitted.pop(number)

    def drop_rest(self) -> None:
        """Take what nobody waits for any more out of the server's queue."""
        for _, prompt_id, _ in self._submitted.values():
            self._client.stop(prompt_id)
        self._submitted.clear()


class QueueWatch:
    """Whether the server still works on a prompt: it may have forgotten it, or hang."""

    def __init__(self, client: ComfyUIClient, prompt_id: str, stall_seconds: float) -> None:
        self._client = client
        self._prompt_id = prompt_id
        self._stall_seconds = stall_seconds
        self._position: int | None = -1
        self._misses = 0
        self._last_life = time.monotonic()

    def note_life(self) -> None:
        """Something was heard of the prompt."""
        self._last_life = time.monotonic()
        self._misses = 0

    def look(self) -> None:
        """Ask for the prompt's place in the queue.

        Raises:
            EngineError: the server does not know the prompt any more, or nothing has moved for too long.
        """
        position = self._client.queue_position(self._prompt_id)
        if position is not None and position != self._position:
            self.note_life()
        self._position = position
        self._misses = self._misses + 1 if position is None else 0
        if self._misses > 2:  # between queue and history there is a moment in which it is in neither
            raise EngineError(f"{self._client.url} does not know the prompt any more; was it started again?")
        if time.monotonic() - self._last_life > self._stall_seconds:
            raise self._client.explain_stall(self._stall_seconds)
