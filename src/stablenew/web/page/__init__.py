"""The page as it is served: its files made small, and the first images of the wall put into it."""
