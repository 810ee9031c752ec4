"""ComfyUI through its HTTP API and websocket."""
