"""InvokeAI, through its API."""
