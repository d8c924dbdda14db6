/* The files that a packer has put into the module: names and bytes, below the
   module's own data, at a fixed place. docs/formats/luabundle.md */
#ifndef WALLABY_BUNDLE_H
#define WALLABY_BUNDLE_H

#include <stdint.h>

struct file {
	const char *name;
	uint32_t name_bytes;
	const char *text;
	uint32_t text_bytes;
};

/* bundle_next gives the file at a position, which begins at 0, and moves it on; 0 at the
   end. */
int bundle_next(uint32_t *position, struct file *file);

/* bundle_find gives the file of a name; 0 if there is none. */
int bundle_find(const char *name, uint32_t name_bytes, struct file *file);

#endif
