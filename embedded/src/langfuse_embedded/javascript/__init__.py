"""JavaScript's values, dates and numbers, as the server reads and writes them."""
