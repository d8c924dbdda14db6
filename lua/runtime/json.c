/* JSON as ao processes read and write it: null is nil, a table is an array if it has a
   first element or nothing, and an object if all its keys are texts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lua.h"

#include "lauxlib.h"
#include "native.h"

/* depth_max bounds how deeply values may nest: deeper ones are no messages but attacks. */
#define depth_max 180

/* Encoding. Text grows in a userdata that is the only one on the stack's bottom, since a
   luaL_Buffer does not allow other values above it. */
struct text {
	char *at;
	size_t bytes, room;
};

static void put(lua_State *L, struct text *t, const char *from, size_t bytes) {
	if (t->bytes + bytes > t->room) {
		size_t room = t->room ? t->room : 256;
		while (room < t->bytes + bytes)
			room *= 2;
		void *data;
		lua_Alloc allocate = lua_getallocf(L, &data);
		char *at = allocate(data, t->at, t->room, room);
		if (!at)
			luaL_error(L, "not enough memory");
		t->at = at;
		t->room = room;
	}
	memcpy(t->at + t->bytes, from, bytes);
	t->bytes += bytes;
}

static int free_text(lua_State *L) {
	struct text *t = lua_touserdata(L, 1);
	void *data;
	lua_Alloc allocate = lua_getallocf(L, &data);
	if (t->at)
		allocate(data, t->at, t->room, 0);
	t->at = NULL;
	t->room = t->bytes = 0;
	return 0;
}

static void put_string(lua_State *L, struct text *t, int index) {
	size_t bytes;
	const char *from = lua_tolstring(L, index, &bytes);
	size_t begin = 0;
	put(L, t, "\"", 1);
	for (size_t at = 0; at < bytes; at++) {
		unsigned char c = (unsigned char)from[at];
		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
			continue;
		char escaped[7] = "\\u0000";
		size_t length = 2;
		switch (c) {
		case '"': escaped[1] = '"'; break;
		case '\\': escaped[1] = '\\'; break;
		case '\b': escaped[1] = 'b'; break;
		case '\f': escaped[1] = 'f'; break;
		case '\n': escaped[1] = 'n'; break;
		case '\r': escaped[1] = 'r'; break;
		case '\t': escaped[1] = 't'; break;
		default:
			escaped[4] = "0123456789abcdef"[c >> 4];
			escaped[5] = "0123456789abcdef"[c & 15];
			length = 6;
		}
		put(L, t, from + begin, at - begin);
		put(L, t, escaped, length);
		begin = at + 1;
	}
	put(L, t, from + begin, bytes - begin);
	put(L, t, "\"", 1);
}

static void put_number(lua_State *L, struct text *t, int index) {
	char text[64];
	int length;
	if (lua_isinteger(L, index)) {
		length = lua_integer2str(text, sizeof text, lua_tointeger(L, index));
	} else {
		lua_Number value = lua_tonumber(L, index);
		if (isnan(value) || isinf(value))
			luaL_error(L, "JSON has no number %s", luaL_tolstring(L, index, NULL));
		length = l_sprintf(text, sizeof text, "%.14g", value);
	}
	put(L, t, text, (size_t)length);
}

static void put_value(lua_State *L, struct text *t, int index, int depth);

static void put_array(lua_State *L, struct text *t, int index, int depth) {
	lua_Integer length = (lua_Integer)lua_rawlen(L, index), count = 0;
	lua_pushnil(L);
	while (lua_next(L, index)) {
		if (lua_type(L, -2) != LUA_TNUMBER || !lua_isinteger(L, -2))
			luaL_error(L, "invalid table: mixed or invalid key types");
		count++;
		lua_pop(L, 1);
	}
	if (count != length)
		luaL_error(L, "invalid table: sparse array");
	put(L, t, "[", 1);
	for (lua_Integer i = 1; i <= length; i++) {
		if (i > 1)
			put(L, t, ",", 1);
		lua_rawgeti(L, index, i);
		put_value(L, t, lua_gettop(L), depth);
		lua_pop(L, 1);
	}
	put(L, t, "]", 1);
}

static void put_object(lua_State *L, struct text *t, int index, int depth) {
	int first = 1;
	put(L, t, "{", 1);
	lua_pushnil(L);
	while (lua_next(L, index)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			luaL_error(L, "invalid table: mixed or invalid key types");
		if (!first)
			put(L, t, ",", 1);
		first = 0;
		put_string(L, t, lua_gettop(L) - 1);
		put(L, t, ":", 1);
		put_value(L, t, lua_gettop(L), depth);
		lua_pop(L, 1);
	}
	put(L, t, "}", 1);
}

static void put_value(lua_State *L, struct text *t, int index, int depth) {
	switch (lua_type(L, index)) {
	case LUA_TNIL: put(L, t, "null", 4); return;
	case LUA_TBOOLEAN:
		if (lua_toboolean(L, index))
			put(L, t, "true", 4);
		else
			put(L, t, "false", 5);
		return;
	case LUA_TNUMBER: put_number(L, t, index); return;
	case LUA_TSTRING: put_string(L, t, index); return;
	case LUA_TTABLE: break;
	default: luaL_error(L, "unexpected type '%s'", luaL_typename(L, index));
	}
	if (depth >= depth_max)
		luaL_error(L, "circular reference, or tables that nest more than %d deep", depth_max);
	luaL_checkstack(L, 6, "JSON");
	lua_rawgeti(L, index, 1);
	int array = !lua_isnil(L, -1);
	lua_pop(L, 1);
	if (!array) {
		lua_pushnil(L);
		array = !lua_next(L, index);
		lua_settop(L, array ? lua_gettop(L) : lua_gettop(L) - 2);
	}
	if (array)
		put_array(L, t, index, depth + 1);
	else
		put_object(L, t, index, depth + 1);
}

/* json_encode(value) gives its text. */
int json_encode(lua_State *L) {
	luaL_checkany(L, 1);
	lua_settop(L, 1);
	struct text *t = lua_newuserdata(L, sizeof *t);
	memset(t, 0, sizeof *t);
	if (luaL_newmetatable(L, "wallaby.text")) {
		lua_pushcfunction(L, free_text);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, 2);
	put_value(L, t, 1, 0);
	lua_pushlstring(L, t->at, t->bytes);
	lua_pushcfunction(L, free_text);
	lua_pushvalue(L, 2);
	lua_call(L, 1, 0);
	return 1;
}

/* Decoding. */
struct reader {
	lua_State *L;
	const char *text, *at, *end;
};

static int fail(struct reader *r, const char *what) {
	int line = 1, column = 1;
	for (const char *c = r->text; c < r->at; c++) {
		column++;
		if (*c == '\n') {
			line++;
			column = 1;
		}
	}
	return luaL_error(r->L, "%s at line %d col %d", what, line, column);
}

static void space(struct reader *r) {
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
		r->at++;
}

static int next(struct reader *r) {
	space(r);
	return r->at < r->end ? (unsigned char)*r->at : -1;
}

static void unexpected(struct reader *r) {
	if (r->at >= r->end)
		fail(r, "unexpected end of the text");
	char what[] = "unexpected character ' '";
	what[22] = *r->at;
	fail(r, what);
}

static unsigned unit(struct reader *r) {
	unsigned value = 0;
	for (int i = 0; i < 4; i++, r->at++) {
		int c = r->at < r->end ? (unsigned char)*r->at : 0;
		int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
		if (digit < 0)
			fail(r, "invalid unicode escape in string");
		value = value << 4 | (unsigned)digit;
	}
	return value;
}

static void add_utf8(luaL_Buffer *b, unsigned code) {
	if (code < 0x80) {
		luaL_addchar(b, (char)code);
		return;
	}
	if (code < 0x800) {
		luaL_addchar(b, (char)(0xc0 | code >> 6));
	} else if (code < 0x10000) {
		luaL_addchar(b, (char)(0xe0 | code >> 12));
		luaL_addchar(b, (char)(0x80 | (code >> 6 & 63)));
	} else {
		luaL_addchar(b, (char)(0xf0 | code >> 18));
		luaL_addchar(b, (char)(0x80 | (code >> 12 & 63)));
		luaL_addchar(b, (char)(0x80 | (code >> 6 & 63)));
	}
	luaL_addchar(b, (char)(0x80 | (code & 63)));
}

static void escape(struct reader *r, luaL_Buffer *b) {
	int c = r->at < r->end ? *r->at++ : 0;
	switch (c) {
	case '"': case '\\': case '/': luaL_addchar(b, (char)c); return;
	case 'b': luaL_addchar(b, '\b'); return;
	case 'f': luaL_addchar(b, '\f'); return;
	case 'n': luaL_addchar(b, '\n'); return;
	case 'r': luaL_addchar(b, '\r'); return;
	case 't': luaL_addchar(b, '\t'); return;
	case 'u': break;
	default: fail(r, "invalid escape in string");
	}
	unsigned code = unit(r);
	if (code >= 0xd800 && code < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
		const char *before = r->at;
		r->at += 2;
		unsigned low = unit(r);
		if (low >= 0xdc00 && low < 0xe000)
			code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
		else
			r->at = before;
	}
	add_utf8(b, code);
}

static void read_string(struct reader *r) {
	const char *begin = ++r->at;
	while (r->at < r->end && *r->at != '"' && *r->at != '\\' && (unsigned char)*r->at >= 0x20)
		r->at++;
	if (r->at < r->end && *r->at == '"') {
		lua_pushlstring(r->L, begin, (size_t)(r->at++ - begin));
		return;
	}
	luaL_Buffer b;
	luaL_buffinit(r->L, &b);
	luaL_addlstring(&b, begin, (size_t)(r->at - begin));
	for (;;) {
		if (r->at >= r->end)
			fail(r, "expected closing quote for string");
		char c = *r->at++;
		if (c == '"')
			break;
		if ((unsigned char)c < 0x20)
			fail(r, "control character in string");
		if (c == '\\')
			escape(r, &b);
		else
			luaL_addchar(&b, c);
	}
	luaL_pushresult(&b);
}

static int digits(struct reader *r) {
	const char *begin = r->at;
	while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
		r->at++;
	return r->at > begin;
}

static void read_number(struct reader *r) {
	const char *begin = r->at;
	char text[400];
	if (*r->at == '-')
		r->at++;
	int ok = digits(r);
	if (ok && r->at < r->end && *r->at == '.') {
		r->at++;
		ok = digits(r);
	}
	if (ok && r->at < r->end && (*r->at | 32) == 'e') {
		r->at++;
		if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
			r->at++;
		ok = digits(r);
	}
	size_t length = (size_t)(r->at - begin);
	if (!ok || length >= sizeof text)
		fail(r, "invalid number");
	memcpy(text, begin, length);
	text[length] = 0;
	if (!lua_stringtonumber(r->L, text))
		fail(r, "invalid number");
}

static void word(struct reader *r, const char *text, size_t bytes) {
	if ((size_t)(r->end - r->at) < bytes || memcmp(r->at, text, bytes) != 0)
		unexpected(r);
	r->at += bytes;
}

static void read_value(struct reader *r, int depth);

static void read_array(struct reader *r, int depth) {
	lua_newtable(r->L);
	r->at++;
	if (next(r) == ']') {
		r->at++;
		return;
	}
	for (lua_Integer i = 1;; i++) {
		read_value(r, depth);
		lua_rawseti(r->L, -2, i);
		int c = next(r);
		if (c != ',' && c != ']')
			fail(r, "expected ']' or ','");
		r->at++;
		if (c == ']')
			return;
	}
}

static void read_object(struct reader *r, int depth) {
	lua_newtable(r->L);
	r->at++;
	if (next(r) == '}') {
		r->at++;
		return;
	}
	for (;;) {
		if (next(r) != '"')
			fail(r, "expected string for key");
		read_string(r);
		if (next(r) != ':')
			fail(r, "expected ':' after key");
		r->at++;
		read_value(r, depth);
		lua_rawset(r->L, -3);
		int c = next(r);
		if (c != ',' && c != '}')
			fail(r, "expected '}' or ','");
		r->at++;
		if (c == '}')
			return;
	}
}

static void read_value(struct reader *r, int depth) {
	if (depth >= depth_max)
		fail(r, "values nest too deep");
	luaL_checkstack(r->L, 6, "JSON");
	int c = next(r);
	switch (c) {
	case '{': read_object(r, depth + 1); return;
	case '[': read_array(r, depth + 1); return;
	case '"': read_string(r); return;
	case 't': word(r, "true", 4); lua_pushboolean(r->L, 1); return;
	case 'f': word(r, "false", 5); lua_pushboolean(r->L, 0); return;
	case 'n': word(r, "null", 4); lua_pushnil(r->L); return;
	}
	if (c != '-' && (c < '0' || c > '9'))
		unexpected(r);
	read_number(r);
}

/* json_decode(text) gives the value. */
int json_decode(lua_State *L) {
	size_t bytes;
	const char *text = luaL_checklstring(L, 1, &bytes);
	struct reader r = {L, text, text, text + bytes};
	read_value(&r, 0);
	if (next(&r) >= 0)
		fail(&r, "trailing garbage");
	return 1;
}
