"""Where pages are shown: a browser, and programs of other toolkits."""
