"""Files and folders: written whole, found where they belong, read without executing anything."""
