"""One running guest: how QEMU is called, spoken to, watched and stopped."""
