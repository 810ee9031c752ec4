"""The other front door: devices on the network, which are paired and may look, or look and rate."""
