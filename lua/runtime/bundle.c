#include "bundle.h"

#include <string.h>

/* Where the linker leaves room: scripts/runtime.sh and lua/pack.go say the same. */
#define BUNDLE_AT 0x10000u
#define BUNDLE_END 0x400000u

static const char magic[8] = "aolua\1\0\0";

static uint32_t number(uint32_t at) {
	uint32_t value;
	memcpy(&value, (const void *)(uintptr_t)at, sizeof value);
	return value;
}

int bundle_next(uint32_t *position, struct file *file) {
	uint32_t base = BUNDLE_AT + 12, end = base + number(BUNDLE_AT + 8), at = base + *position;
	if (memcmp((const void *)(uintptr_t)BUNDLE_AT, magic, sizeof magic) != 0 || end > BUNDLE_END || at + 8 > end)
		return 0;
	file->name_bytes = number(at);
	file->text_bytes = number(at + 4);
	file->name = (const char *)(uintptr_t)(at + 8);
	file->text = file->name + file->name_bytes;
	*position += 8 + file->name_bytes + file->text_bytes;
	return base + *position <= end;
}

int bundle_find(const char *name, uint32_t name_bytes, struct file *file) {
	uint32_t position = 0;
	while (bundle_next(&position, file))
		if (file->name_bytes == name_bytes && memcmp(file->name, name, name_bytes) == 0)
			return 1;
	return 0;
}
