/* A process: Lua, the files of the bundle, and handle, which a compute unit calls with a
   message and the environment as JSON and which gives the response as JSON. */
#include <stdlib.h>
#include <string.h>

#include "lua.h"

#include "bundle.h"
#include "lauxlib.h"
#include "lualib.h"
#include "native.h"

#define EXPORT(name) __attribute__((export_name(#name)))

static lua_State *state;
static int handler = LUA_NOREF;  /* what the bundle's .boot returned */
static int response = LUA_NOREF; /* keeps the text that handle gave last */
static int printer = LUA_NOREF;  /* the Lua function that gets what is printed */

/* A longjmp that was caught leaves nothing to tell. */
static int threw;
EXPORT(setThrew) void set_threw(int value, int which) {
	(void)which;
	threw = value;
}
void caught(void) { threw = 0; }

/* A packer knows the runtime by this. */
EXPORT(wallaby_lua_runtime) int runtime_version(void) { return 1; }

/* By this the reference loader's invoke_vii calls. */
EXPORT(dynCall_vii) void call_two(void (*function)(void *, void *), void *first, void *second) { function(first, second); }

/* Where the stack ends: emscripten's glue and hosts put marks there. */
extern char __data_end;
EXPORT(emscripten_stack_init) void stack_init(void) {}
EXPORT(emscripten_stack_get_end) uintptr_t stack_end(void) { return ((uintptr_t)&__data_end + 15) & ~(uintptr_t)15; }

EXPORT(malloc) void *exported_malloc(size_t bytes) { return malloc(bytes); }
EXPORT(free) void exported_free(void *at) { free(at); }

void runtime_print(const char *text, unsigned long bytes) {
	if (printer == LUA_NOREF)
		return;
	lua_rawgeti(state, LUA_REGISTRYINDEX, printer);
	lua_pushlstring(state, text, bytes);
	lua_call(state, 1, 0);
}

/* A file's chunk is called @name.lua, so that errors say where they are. */
static int load_file(lua_State *L, const struct file *file) {
	lua_pushfstring(L, "@%s.lua", file->name_bytes && file->name[0] == '.' ? file->name + 1 : file->name);
	int failed = luaL_loadbufferx(L, file->text, file->text_bytes, lua_tostring(L, -1), "t");
	lua_remove(L, -2);
	return failed;
}

/* names in a bundle are not ended by a zero: this copies one onto the stack. */
static void push_name(lua_State *L, struct file *file) {
	lua_pushlstring(L, file->name, file->name_bytes);
	file->name = lua_tostring(L, -1);
}

static int searcher(lua_State *L) {
	size_t bytes;
	const char *name = luaL_checklstring(L, 1, &bytes);
	struct file file;
	if (!bundle_find(name, (uint32_t)bytes, &file)) {
		lua_pushfstring(L, "\n\tno file '%s' in the module", name);
		return 1;
	}
	push_name(L, &file);
	if (load_file(L, &file) != LUA_OK)
		return lua_error(L);
	lua_pushvalue(L, 1);
	return 2;
}

/* files() gives the names in the bundle; source(name) a file's text, or nil. */
static int files(lua_State *L) {
	struct file file;
	uint32_t position = 0;
	lua_newtable(L);
	for (int i = 1; bundle_next(&position, &file); i++) {
		lua_pushlstring(L, file.name, file.name_bytes);
		lua_rawseti(L, -2, i);
	}
	return 1;
}

static int source(lua_State *L) {
	size_t bytes;
	const char *name = luaL_checklstring(L, 1, &bytes);
	struct file file;
	if (!bundle_find(name, (uint32_t)bytes, &file)) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushlstring(L, file.text, file.text_bytes);
	return 1;
}

static int on_print(lua_State *L) {
	luaL_checktype(L, 1, LUA_TFUNCTION);
	luaL_unref(L, LUA_REGISTRYINDEX, printer);
	lua_pushvalue(L, 1);
	printer = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

static int set_time(lua_State *L) {
	now_seconds = (int64_t)luaL_checkinteger(L, 1);
	return 0;
}

static const luaL_Reg natives[] = {
	{"json_encode", json_encode}, {"json_decode", json_decode},
	{"base64_encode", base64_encode}, {"base64_decode", base64_decode},
	{"hex_encode", hex_encode}, {"hex_decode", hex_decode},
	{"sha256", digest_sha256}, {"sha512", digest_sha512},
	{"keccak256", digest_keccak256}, {"keccak512", digest_keccak512},
	{"sha3_256", digest_sha3_256}, {"sha3_512", digest_sha3_512},
	{"files", files}, {"source", source}, {"on_print", on_print}, {"set_time", set_time},
	{NULL, NULL}};

static int open_native(lua_State *L) {
	luaL_newlib(L, natives);
	return 1;
}

static const luaL_Reg libraries[] = {
	{"_G", luaopen_base}, {LUA_LOADLIBNAME, luaopen_package}, {LUA_COLIBNAME, luaopen_coroutine},
	{LUA_TABLIBNAME, luaopen_table}, {LUA_OSLIBNAME, luaopen_os}, {LUA_STRLIBNAME, luaopen_string},
	{LUA_MATHLIBNAME, luaopen_math}, {LUA_UTF8LIBNAME, luaopen_utf8}, {LUA_DBLIBNAME, luaopen_debug},
	{"native", open_native}, {NULL, NULL}};

/* boot makes the libraries and runs the bundle's .boot, which returns a function of a
   message and an environment that gives a response, all of them JSON. */
static int boot(lua_State *L) {
	for (const luaL_Reg *one = libraries; one->func; one++) {
		luaL_requiref(L, one->name, one->func, 1);
		lua_pop(L, 1);
	}
	lua_pushnil(L);
	lua_setglobal(L, "native");
	lua_getglobal(L, "package");
	lua_newtable(L); /* searchers: what is loaded, and the bundle */
	lua_getfield(L, -2, "searchers");
	lua_rawgeti(L, -1, 1);
	lua_rawseti(L, -3, 1);
	lua_pop(L, 1);
	lua_pushcfunction(L, searcher);
	lua_rawseti(L, -2, 2);
	lua_setfield(L, -2, "searchers");
	lua_pop(L, 1);
	lua_getglobal(L, "require");
	lua_pushliteral(L, ".boot");
	lua_call(L, 1, 1);
	luaL_checktype(L, -1, LUA_TFUNCTION);
	handler = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

static int traced(lua_State *L) {
	const char *text = luaL_tolstring(L, 1, NULL);
	luaL_traceback(L, L, text, 1);
	return 1;
}

/* keep has a text stay until the next message. */
static const char *keep(lua_State *L) {
	luaL_unref(L, LUA_REGISTRYINDEX, response);
	response = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_rawgeti(L, LUA_REGISTRYINDEX, response);
	const char *text = lua_tostring(L, -1);
	lua_pop(L, 1);
	return text;
}

static const char *failure(lua_State *L, const char *what) {
	lua_getfield(L, LUA_REGISTRYINDEX, "wallaby.json_encode");
	lua_pushfstring(L, "%s: %s", what, lua_tostring(L, -2));
	lua_call(L, 1, 1);
	lua_pushfstring(L, "{\"ok\":true,\"response\":{\"Error\":%s,\"Messages\":[],\"Spawns\":[],\"Assignments\":[]}}", lua_tostring(L, -1));
	const char *text = keep(L);
	lua_settop(L, 0);
	return text;
}

EXPORT(handle) const char *handle(const char *message, const char *environment) {
	if (!state) {
		state = luaL_newstate();
		lua_pushcfunction(state, json_encode);
		lua_setfield(state, LUA_REGISTRYINDEX, "wallaby.json_encode");
	}
	lua_State *L = state;
	lua_settop(L, 0);
	lua_pushcfunction(L, traced);
	if (handler == LUA_NOREF) {
		lua_pushcfunction(L, boot);
		if (lua_pcall(L, 0, 0, 1) != LUA_OK)
			return failure(L, "the module does not start");
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, handler);
	lua_pushstring(L, message);
	lua_pushstring(L, environment);
	if (lua_pcall(L, 2, 1, 1) != LUA_OK)
		return failure(L, "the module does not answer");
	if (lua_type(L, -1) != LUA_TSTRING) {
		lua_pushliteral(L, "it gave no text");
		return failure(L, "the module does not answer");
	}
	const char *text = keep(L);
	lua_settop(L, 0);
	return text;
}
