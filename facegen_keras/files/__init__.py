"""Files and folders: whole writes, default places, and reading without executing anything."""
