/* The module native: what Lua code would be slow at. */
#ifndef WALLABY_NATIVE_H
#define WALLABY_NATIVE_H

#include <stdint.h>

#include "lua.h"

/* now_seconds is what os.time() gives: the library sets it from each message. */
extern int64_t now_seconds;

int json_encode(lua_State *L);
int json_decode(lua_State *L);

int base64_encode(lua_State *L);
int base64_decode(lua_State *L);
int hex_encode(lua_State *L);
int hex_decode(lua_State *L);

int digest_sha256(lua_State *L);
int digest_sha512(lua_State *L);
int digest_keccak256(lua_State *L);
int digest_keccak512(lua_State *L);
int digest_sha3_256(lua_State *L);
int digest_sha3_512(lua_State *L);

#endif
