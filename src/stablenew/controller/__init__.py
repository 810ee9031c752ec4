"""The one place that wires."""
