"""The command line `singletrack`."""


def main() -> None:
    """Run the command line."""
    from singletrack.cli.commands import app

    app()
