"""The example: flights out of New York in 2013. What ``include/`` collects, served by three systems of its own."""
