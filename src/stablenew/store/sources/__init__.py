"""Where images lie that runs describe and do not hold."""
