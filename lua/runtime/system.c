/* What Lua asks of a system, and a process does not have: files, a shell, an
   environment, a clock. Time is that of the message in hand, in UTC. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "native.h"

int64_t now_seconds;

__attribute__((import_module("env"), import_name("emscripten_resize_heap")))
int resize_heap(size_t bytes);

/* The host grows the memory: a JavaScript host has to know of it. It may give more than
   was asked for, which the next calls use up. */
void *sbrk(intptr_t increment) {
	static uintptr_t top;
	uintptr_t have = (uintptr_t)__builtin_wasm_memory_size(0) * 65536;
	if (!top)
		top = have;
	if (increment < 0 || (top + (uintptr_t)increment > have && !resize_heap(top + (uintptr_t)increment))) {
		errno = ENOMEM;
		return (void *)-1;
	}
	uintptr_t old = top;
	top += (uintptr_t)increment;
	return (void *)old;
}

time_t time(time_t *to) {
	if (to)
		*to = (time_t)now_seconds;
	return (time_t)now_seconds;
}

clock_t clock(void) { return 0; }

struct tm *localtime(const time_t *at) { return gmtime(at); }
struct tm *localtime_r(const time_t *at, struct tm *to) { return gmtime_r(at, to); }

FILE *fopen(const char *path, const char *mode) {
	(void)path, (void)mode;
	errno = ENOENT;
	return NULL;
}

FILE *freopen(const char *path, const char *mode, FILE *file) {
	(void)path, (void)mode, (void)file;
	errno = ENOENT;
	return NULL;
}

int system(const char *command) {
	(void)command;
	return 0;
}

int remove(const char *path) {
	(void)path;
	errno = ENOENT;
	return -1;
}

int rename(const char *from, const char *to) {
	(void)from, (void)to;
	errno = ENOENT;
	return -1;
}

FILE *tmpfile(void) { return NULL; }

char *tmpnam(char *to) {
	(void)to;
	return NULL;
}

char *getenv(const char *name) {
	(void)name;
	return NULL;
}

void exit(int code) {
	(void)code;
	__builtin_trap();
}

void abort(void) { __builtin_trap(); }
