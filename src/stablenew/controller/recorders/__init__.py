"""Recording what other programs make, from beside them."""
