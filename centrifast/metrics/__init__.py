"""What this process counts and measures, and how it is shown."""
