/* Lua asks for it and, with throw.h, uses nothing of it. */
