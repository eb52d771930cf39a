/* SPDX-License-Identifier: MIT */
#include "random.h"

#include <stdint.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h> /* getentropy */
#endif

bool random_key(char key[RANDOM_KEY_SIZE]) {
  static const char hex[] = "0123456789abcdef";
  unsigned char bytes[16];
  if (getentropy(bytes, sizeof bytes) != 0)
    return false;
  char *out = key;
  for (int i = 0; i < 16; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10)
      *out++ = '-';
    *out++ = hex[bytes[i] >> 4];
    *out++ = hex[bytes[i] & 15];
  }
  *out = '\0';
  return true;
}

double random_fraction(void) {
  uint32_t bits;
  if (getentropy(&bits, sizeof bits) != 0)
    return 0.5;
  return bits / 4294967296.0;
}
