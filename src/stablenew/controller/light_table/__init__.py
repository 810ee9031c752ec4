"""What people who look at images do with many at once: duels, grids, the trash."""
