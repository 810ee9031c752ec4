"""AUTOMATIC1111, Forge, reForge and SD.Next through their HTTP API."""
