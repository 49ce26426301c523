"""The memory as a static site: matrix, trends, what goes wrong, a page a run and a page a case."""
