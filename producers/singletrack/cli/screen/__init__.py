"""What fills a terminal."""
