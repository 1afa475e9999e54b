"""What every other part needs of this machine: child processes, loopback addresses, HTTP probes, the data folder."""
