"""From a query to rows, counts and facets."""
