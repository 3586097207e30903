import ctypes, resource
kept = bytearray(1 << 27)
ctypes.string_at(0)
