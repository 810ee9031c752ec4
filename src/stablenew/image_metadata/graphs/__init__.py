"""ComfyUI's graphs: which node made an image, with which texts, models and settings."""
