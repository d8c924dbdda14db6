/* Included before every file of Lua, so that none of them has to be changed.

   Lua ends a protected call with longjmp. WebAssembly has none without its exceptions,
   which not every engine has; emscripten's way is a host function that calls back and
   catches. A host that has those two functions runs this module; Wallaby's replaces them
   by code of the module's own and calls no host at all. */
#ifndef WALLABY_THROW_H
#define WALLABY_THROW_H

__attribute__((import_module("env"), import_name("invoke_vii")))
void invoke_vii(void *function, void *first, void *second);

__attribute__((import_module("env"), import_name("_emscripten_throw_longjmp"), noreturn))
void throw_longjmp(void);

void caught(void);

#define luai_jmpbuf int
#define LUAI_THROW(L, c) throw_longjmp()
/* f, L and ud are the variables of luaD_rawrunprotected, the one place that tries. */
#define LUAI_TRY(L, c, a) { invoke_vii((void *)f, L, ud); caught(); }

/* Every process hashes strings in the same way: the order of a table is part of its
   state. */
#define luai_makeseed() 0x77616c6cu

/* What Lua itself prints. */
void runtime_print(const char *text, unsigned long bytes);
#define lua_writestring(s, l) runtime_print((s), (l))
#define lua_writeline() runtime_print("\n", 1)
#define lua_writestringerror(s, p) ((void)(p))

#endif
