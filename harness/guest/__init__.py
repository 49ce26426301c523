"""What a kernel boots into: case programs, the initramfs around them, the disk under test."""
