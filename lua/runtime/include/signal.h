/* No signal comes to a process; Lua has a variable of this type all the same. */
typedef int sig_atomic_t;
