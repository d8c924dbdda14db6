/* What a process in C needs of ao: the exports that a compute unit calls, fields and tags of
   a message, and a response that is written piece by piece. Include it in one file. */
#ifndef AO_H
#define AO_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AO_EXPORT(name) __attribute__((export_name(#name), used))

/* A compute unit puts message and environment where malloc says. */
AO_EXPORT(malloc) void *ao_malloc(size_t bytes) { return malloc(bytes); }
AO_EXPORT(free) void ao_free(void *at) { free(at); }

/* By these a compute unit knows the module's format, and where its stack ends. */
extern char __data_end;
AO_EXPORT(emscripten_stack_init) void ao_stack_init(void) {}
AO_EXPORT(emscripten_stack_get_end) uintptr_t ao_stack_end(void) { return ((uintptr_t)&__data_end + 15) & ~(uintptr_t)15; }

/* ao_after gives what is behind a JSON value; NULL: it has no end. */
static const char *ao_after(const char *at) {
	int depth = 0;
	for (; *at; at++) {
		if (*at == '"') {
			for (at++; *at && *at != '"'; at++)
				if (*at == '\\' && at[1])
					at++;
			if (!*at)
				return NULL;
		} else if (*at == '{' || *at == '[') {
			depth++;
		} else if (*at == '}' || *at == ']') {
			if (depth == 0)
				return at;
			depth--;
		} else if (*at == ',' && depth == 0) {
			return at;
		}
		if (depth == 0 && (*at == '"' || *at == '}' || *at == ']'))
			return at + 1;
	}
	return NULL;
}

/* ao_text copies a JSON text as far as there is room, and reports whether it is one. \u is
   copied as it is written. */
static int ao_text(const char *at, char *to, size_t size) {
	size_t n = 0;
	if (*at != '"')
		return 0;
	for (at++; *at && *at != '"'; at++) {
		char c = *at;
		if (c == '\\' && at[1] && at[1] != 'u') {
			at++;
			c = *at == 'n' ? '\n' : *at == 't' ? '\t' : *at == 'r' ? '\r' : *at;
		}
		if (n + 1 < size)
			to[n++] = c;
	}
	to[n] = 0;
	return *at == '"';
}

/* ao_find gives the value of a member of a JSON object; NULL: there is none. */
static const char *ao_find(const char *object, const char *name) {
	size_t length = strlen(name);
	const char *at = object;
	if (!at || *at != '{')
		return NULL;
	for (at++; at && *at == '"';) {
		const char *key = at + 1, *value = ao_after(at);
		if (!value || *value != ':')
			return NULL;
		if (strncmp(key, name, length) == 0 && key[length] == '"')
			return value + 1;
		at = ao_after(value + 1);
		if (at && *at == ',')
			at++;
	}
	return NULL;
}

/* ao_field copies a field of a message, such as From, and reports whether it is there. */
static int ao_field(const char *message, const char *name, char *to, size_t size) {
	const char *value = ao_find(message, name);
	return value && ao_text(value, to, size);
}

/* ao_tag copies the value of a message's first tag of a name, and reports whether there is
   one. */
static int ao_tag(const char *message, const char *name, char *to, size_t size) {
	const char *at = ao_find(message, "Tags");
	char found[256];
	if (!at || *at != '[')
		return 0;
	for (at++; at && *at == '{';) {
		if (ao_field(at, "name", found, sizeof found) && strcmp(found, name) == 0)
			return ao_field(at, "value", to, size);
		at = ao_after(at);
		if (at && *at == ',')
			at++;
	}
	return 0;
}

/* The response that is being written. */
static char *ao_response;
static size_t ao_used, ao_size;

static void ao_put(const char *text, size_t bytes) {
	if (ao_used + bytes + 1 > ao_size) {
		ao_size = 2 * (ao_used + bytes + 1);
		ao_response = realloc(ao_response, ao_size);
		if (!ao_response)
			abort();
	}
	memcpy(ao_response + ao_used, text, bytes);
	ao_used += bytes;
	ao_response[ao_used] = 0;
}

static void ao_write(const char *json) { ao_put(json, strlen(json)); }

/* ao_quote writes a text as JSON. */
static void ao_quote(const char *text) {
	char escaped[8];
	ao_write("\"");
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\') {
			snprintf(escaped, sizeof escaped, "\\%c", c);
			ao_write(escaped);
		} else if (c < ' ') {
			snprintf(escaped, sizeof escaped, "\\u%04x", c);
			ao_write(escaped);
		} else {
			ao_put(text, 1);
		}
	}
	ao_write("\"");
}

/* ao_begin begins a response; ao_message, then any ao_with, and ao_end each message; ao_done
   ends it with the output and gives it. */
static void ao_begin(void) {
	ao_used = 0;
	ao_write("{\"ok\":true,\"response\":{\"Spawns\":[],\"Assignments\":[],\"Messages\":[");
}

/* Every message needs an anchor of 32 bytes of its own. */
static unsigned ao_sent;

static void ao_message(const char *target, const char *data) {
	char anchor[33];
	if (ao_response[ao_used - 1] == '}')
		ao_write(",");
	snprintf(anchor, sizeof anchor, "%032u", ++ao_sent);
	ao_write("{\"Target\":");
	ao_quote(target);
	ao_write(",\"Anchor\":");
	ao_quote(anchor);
	ao_write(",\"Data\":");
	ao_quote(data);
	ao_write(",\"Tags\":[{\"name\":\"Data-Protocol\",\"value\":\"ao\"},{\"name\":\"Variant\",\"value\":\"ao.TN.1\"},{\"name\":\"Type\",\"value\":\"Message\"}");
}

static void ao_with(const char *name, const char *value) {
	ao_write(",{\"name\":");
	ao_quote(name);
	ao_write(",\"value\":");
	ao_quote(value);
	ao_write("}");
}

static void ao_end(void) { ao_write("]}"); }

static const char *ao_done(const char *output) {
	ao_write("],\"Output\":{\"data\":");
	ao_quote(output);
	ao_write("}}}");
	return ao_response;
}

/* ao_fail gives a response that says why there is none: the state stays what it was. */
static const char *ao_fail(const char *why) {
	ao_used = 0;
	ao_write("{\"ok\":true,\"response\":{\"Error\":");
	ao_quote(why);
	ao_write("}}");
	return ao_response;
}

#endif
