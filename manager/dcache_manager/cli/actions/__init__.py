"""What commands do and answer with. Imported when a command runs, in a project that is set up: `commands` is what can
be typed, and imports none of this for help and completion."""
