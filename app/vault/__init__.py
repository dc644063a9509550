"""Keys and bytes: seals secrets, opens them, proves at boot that the key ring is the right one."""
