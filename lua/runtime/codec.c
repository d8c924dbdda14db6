/* Base64, hexadecimal and digests. */
#include <string.h>

#include "lua.h"

#include "lauxlib.h"
#include "native.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* base64_encode(text [, url]): with url the alphabet is that of URLs, without padding. */
int base64_encode(lua_State *L) {
	size_t bytes;
	const unsigned char *in = (const unsigned char *)luaL_checklstring(L, 1, &bytes);
	int url = lua_toboolean(L, 2);
	const char *alphabet = url ? url_letters : letters;
	luaL_Buffer b;
	luaL_buffinit(L, &b);
	for (size_t at = 0; at < bytes; at += 3) {
		size_t left = bytes - at;
		uint32_t group = (uint32_t)in[at] << 16 | (left > 1 ? (uint32_t)in[at + 1] << 8 : 0) | (left > 2 ? in[at + 2] : 0);
		luaL_addchar(&b, alphabet[group >> 18]);
		luaL_addchar(&b, alphabet[group >> 12 & 63]);
		if (left > 1)
			luaL_addchar(&b, alphabet[group >> 6 & 63]);
		else if (!url)
			luaL_addchar(&b, '=');
		if (left > 2)
			luaL_addchar(&b, alphabet[group & 63]);
		else if (!url)
			luaL_addchar(&b, '=');
	}
	luaL_pushresult(&b);
	return 1;
}

static int sixth(unsigned char c) {
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	return -1;
}

/* base64_decode takes either alphabet; what belongs to none is passed over. */
int base64_decode(lua_State *L) {
	size_t bytes;
	const unsigned char *in = (const unsigned char *)luaL_checklstring(L, 1, &bytes);
	uint32_t group = 0;
	int bits = 0;
	luaL_Buffer b;
	luaL_buffinit(L, &b);
	for (size_t at = 0; at < bytes && in[at] != '='; at++) {
		int value = sixth(in[at]);
		if (value < 0)
			continue;
		group = (group << 6 | (uint32_t)value) & 0xffffff;
		if ((bits += 6) >= 8) {
			bits -= 8;
			luaL_addchar(&b, (char)(group >> bits & 255));
		}
	}
	luaL_pushresult(&b);
	return 1;
}

static void push_hex(lua_State *L, const unsigned char *in, size_t bytes) {
	luaL_Buffer b;
	luaL_buffinit(L, &b);
	for (size_t at = 0; at < bytes; at++) {
		luaL_addchar(&b, "0123456789abcdef"[in[at] >> 4]);
		luaL_addchar(&b, "0123456789abcdef"[in[at] & 15]);
	}
	luaL_pushresult(&b);
}

int hex_encode(lua_State *L) {
	size_t bytes;
	const char *in = luaL_checklstring(L, 1, &bytes);
	push_hex(L, (const unsigned char *)in, bytes);
	return 1;
}

static int fourth(unsigned char c) {
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 32) >= 'a' && (c | 32) <= 'f')
		return (c | 32) - 'a' + 10;
	return -1;
}

int hex_decode(lua_State *L) {
	size_t bytes;
	const unsigned char *in = (const unsigned char *)luaL_checklstring(L, 1, &bytes);
	luaL_Buffer b;
	luaL_buffinit(L, &b);
	for (size_t at = 0; at + 1 < bytes; at += 2) {
		int high = fourth(in[at]), low = fourth(in[at + 1]);
		if (high < 0 || low < 0)
			return luaL_error(L, "no hexadecimal digit at byte %d", (int)at + 1);
		luaL_addchar(&b, (char)(high << 4 | low));
	}
	luaL_pushresult(&b);
	return 1;
}

/* SHA-256 and SHA-512 (FIPS 180-4) differ in the width of a word, the rounds and the
   rotations. Their constants are the fractions of the roots of primes, which are worked
   out at the first use instead of standing here as 160 numbers. */
typedef unsigned __int128 wide;

static uint64_t sha_start[8], sha_rounds[80];

/* The first 64 bits of the fraction of a prime's square or cube root: the greatest root
   whose power does not exceed the prime, in 64 bits behind the point. */
static int power_exceeds(uint64_t whole, uint64_t fraction, int cube, uint64_t prime) {
	/* root = whole * 2^64 + fraction; compare root^n with prime * 2^(64 n). */
	uint32_t a[10] = {(uint32_t)fraction, (uint32_t)(fraction >> 32), (uint32_t)whole};
	uint32_t power[10] = {1};
	for (int n = 0; n < (cube ? 3 : 2); n++) {
		uint32_t product[10] = {0};
		for (int i = 0; i < 10; i++) {
			uint64_t carry = 0;
			for (int j = 0; i + j < 10; j++) {
				uint64_t sum = (uint64_t)power[i] * (j < 3 ? a[j] : 0) + product[i + j] + carry;
				product[i + j] = (uint32_t)sum;
				carry = sum >> 32;
			}
		}
		memcpy(power, product, sizeof power);
	}
	int words = cube ? 6 : 4; /* behind the point */
	uint64_t above = (uint64_t)power[words + 1] << 32 | power[words];
	if (above != prime)
		return above > prime;
	for (int i = 0; i < words; i++)
		if (power[i])
			return 1;
	return 0;
}

static uint64_t root_fraction(uint64_t prime, int cube) {
	uint64_t whole = 1, fraction = 0;
	while (!power_exceeds(whole + 1, 0, cube, prime))
		whole++;
	for (int bit = 63; bit >= 0; bit--)
		if (!power_exceeds(whole, fraction | 1ull << bit, cube, prime))
			fraction |= 1ull << bit;
	return fraction;
}

static void sha_constants(void) {
	if (sha_start[0])
		return;
	for (int found = 0, n = 2; found < 80; n++) {
		int prime = 1;
		for (int divisor = 2; divisor * divisor <= n && prime; divisor++)
			prime = n % divisor != 0;
		if (!prime)
			continue;
		if (found < 8)
			sha_start[found] = root_fraction((uint64_t)n, 0);
		sha_rounds[found++] = root_fraction((uint64_t)n, 1);
	}
}

struct sha {
	int bits;        /* of a word: 32 or 64 */
	int rounds;
	int rotations[12]; /* of the two sums of a round, and of the two of the schedule */
};

static const struct sha sha256 = {32, 64, {2, 13, 22, 6, 11, 25, 7, 18, 3, 17, 19, 10}};
static const struct sha sha512 = {64, 80, {28, 34, 39, 14, 18, 41, 1, 8, 7, 19, 61, 6}};

static uint64_t rotate(const struct sha *s, uint64_t x, int by) {
	if (s->bits == 64)
		return x >> by | x << (64 - by);
	uint32_t y = (uint32_t)x;
	return y >> by | y << (32 - by);
}

static void sha_block(const struct sha *s, uint64_t state[8], const unsigned char *block) {
	uint64_t mask = s->bits == 64 ? ~0ull : 0xffffffffull, w[80], v[8];
	const int *r = s->rotations;
	for (int i = 0; i < s->rounds; i++) {
		if (i < 16) {
			w[i] = 0;
			for (int byte = 0; byte < s->bits / 8; byte++)
				w[i] = w[i] << 8 | block[i * s->bits / 8 + byte];
			continue;
		}
		uint64_t a = w[i - 15], b = w[i - 2];
		uint64_t low = rotate(s, a, r[6]) ^ rotate(s, a, r[7]) ^ a >> r[8];
		uint64_t high = rotate(s, b, r[9]) ^ rotate(s, b, r[10]) ^ b >> r[11];
		w[i] = (w[i - 16] + low + w[i - 7] + high) & mask;
	}
	memcpy(v, state, sizeof v);
	for (int i = 0; i < s->rounds; i++) {
		uint64_t sum = rotate(s, v[4], r[3]) ^ rotate(s, v[4], r[4]) ^ rotate(s, v[4], r[5]);
		uint64_t first = v[7] + sum + ((v[4] & v[5]) ^ (~v[4] & v[6])) + (sha_rounds[i] >> (64 - s->bits)) + w[i];
		sum = rotate(s, v[0], r[0]) ^ rotate(s, v[0], r[1]) ^ rotate(s, v[0], r[2]);
		uint64_t second = sum + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
		memmove(v + 1, v, 7 * sizeof v[0]);
		v[4] = (v[4] + first) & mask;
		v[0] = (first + second) & mask;
	}
	for (int i = 0; i < 8; i++)
		state[i] = (state[i] + v[i]) & mask;
}

static int digest_sha(lua_State *L, const struct sha *s) {
	size_t bytes;
	const unsigned char *in = (const unsigned char *)luaL_checklstring(L, 1, &bytes);
	size_t block = (size_t)s->bits * 2, word = (size_t)s->bits / 8;
	uint64_t state[8];
	unsigned char last[256] = {0}, out[64];
	sha_constants();
	for (int i = 0; i < 8; i++)
		state[i] = sha_start[i] >> (64 - s->bits);
	size_t at = 0;
	for (; at + block <= bytes; at += block)
		sha_block(s, state, in + at);
	size_t left = bytes - at, padded = left + 1 + 2 * word <= block ? block : 2 * block;
	memcpy(last, in + at, left);
	last[left] = 0x80;
	for (int i = 0; i < 8; i++)
		last[padded - 1 - (size_t)i] = (unsigned char)((uint64_t)bytes * 8 >> (8 * i));
	for (size_t done = 0; done < padded; done += block)
		sha_block(s, state, last + done);
	for (size_t i = 0; i < 8 * word; i++)
		out[i] = (unsigned char)(state[i / word] >> (8 * (word - 1 - i % word)));
	push_hex(L, out, 8 * word);
	return 1;
}

int digest_sha256(lua_State *L) { return digest_sha(L, &sha256); }
int digest_sha512(lua_State *L) { return digest_sha(L, &sha512); }

/* Keccak-f[1600] (FIPS 202). Offsets and round constants follow from their rules. */
static uint64_t left64(uint64_t x, int by) { return by ? x << by | x >> (64 - by) : x; }

static void keccak(uint64_t a[25]) {
	unsigned shift = 1; /* the register that makes round constants */
	for (int round = 0; round < 24; round++) {
		uint64_t c[5], b[25];
		for (int x = 0; x < 5; x++)
			c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
		for (int i = 0; i < 25; i++)
			a[i] ^= c[(i + 4) % 5] ^ left64(c[(i + 1) % 5], 1);
		b[0] = a[0];
		for (int x = 1, y = 0, t = 0; t < 24; t++) {
			int to = (2 * x + 3 * y) % 5;
			b[y + 5 * to] = left64(a[x + 5 * y], (t + 1) * (t + 2) / 2 % 64);
			x = y;
			y = to;
		}
		for (int i = 0; i < 25; i++) {
			int row = i / 5 * 5;
			a[i] = b[i] ^ (~b[row + (i + 1) % 5] & b[row + (i + 2) % 5]);
		}
		for (int j = 0; j < 7; j++) {
			if (shift & 1)
				a[0] ^= 1ull << ((1 << j) - 1);
			shift = shift << 1 ^ (shift >> 7 ? 0x171 : 0);
		}
	}
}

static int digest_keccak(lua_State *L, unsigned char suffix, size_t size) {
	size_t rate = 200 - 2 * size;
	size_t bytes;
	const unsigned char *in = (const unsigned char *)luaL_checklstring(L, 1, &bytes);
	uint64_t a[25] = {0};
	unsigned char out[64];
	for (size_t at = 0;; at += rate) {
		size_t left = bytes - at < rate ? bytes - at : rate;
		for (size_t i = 0; i < left; i++)
			a[i / 8] ^= (uint64_t)in[at + i] << (8 * (i % 8));
		if (left < rate) {
			a[left / 8] ^= (uint64_t)suffix << (8 * (left % 8));
			a[(rate - 1) / 8] ^= 0x80ull << (8 * ((rate - 1) % 8));
			keccak(a);
			break;
		}
		keccak(a);
	}
	for (size_t i = 0; i < size; i++)
		out[i] = (unsigned char)(a[i / 8] >> (8 * (i % 8)));
	push_hex(L, out, size);
	return 1;
}

int digest_keccak256(lua_State *L) { return digest_keccak(L, 0x01, 32); }
int digest_keccak512(lua_State *L) { return digest_keccak(L, 0x01, 64); }
int digest_sha3_256(lua_State *L) { return digest_keccak(L, 0x06, 32); }
int digest_sha3_512(lua_State *L) { return digest_keccak(L, 0x06, 64); }
