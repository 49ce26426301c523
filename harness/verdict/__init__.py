"""Text -> outcome. Pure: no process, no file, no clock; a saved case can be judged again at any time."""
